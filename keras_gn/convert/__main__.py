"""`python -m keras_gn.convert in.keras -o out.keras`: converts a saved model."""

import sys

from keras_gn.convert.command import main

if __name__ == "__main__":
    sys.exit(main())
