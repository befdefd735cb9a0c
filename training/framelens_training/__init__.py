"""framelens-training: fine-tune, evaluate, log and export the framelens classifier."""

# First of all, because it counts the cores before torch can narrow what there is to count.
from framelens_training.environment import usable_cores as usable_cores

__version__ = "0.1.1"
