"""framelens-training: fine-tune, evaluate, log and export the framelens classifier."""

__version__ = "0.1.0"
