from __future__ import annotations

import subprocess
import sys


def test_data_and_metrics_load_no_network_library() -> None:
    code = (
        "import sys\n"
        "from framelens_training import cascade_trial, data, evaluation\n"
        "from framelens_training import own_labels, quiet, tracking\n"
        "from framelens_training.corpora import checks, cli, describe\n"
        "print(sorted({'torch', 'transformers', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
