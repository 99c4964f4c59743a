"""Mask R-CNN (He et al., arXiv 1703.06870) cut into small pure functions; `model.py` joins them."""
