"""Anybody's own folders of videos, one a class: a start for a few hundred to a few thousand videos.

    python train.py --dataset video_folder --data-dir DIR

No score: it depends on the videos.
"""

import dataclasses

from zoo.recipes.folder import FOLDER

VIDEO_FOLDER = dataclasses.replace(FOLDER, model="resnet3d18", dataset="video_folder", image_size=112, clip="8x8")
