"""The model news-en-fast, in the folder `model`; `framelens.load("news-en-fast")` reads it."""
