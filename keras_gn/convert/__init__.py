"""From a trained BatchNormalization model to one without, its accuracy kept."""

from keras_gn.convert.convert_bn_to_gn import convert_bn_to_gn
from keras_gn.convert.convert_norm import convert_norm
from keras_gn.convert.distill import distill
from keras_gn.convert.errors import ConversionError
from keras_gn.convert.report import ConversionReport, ReportRow, conversion_report

__all__ = [
    "ConversionError",
    "ConversionReport",
    "ReportRow",
    "conversion_report",
    "convert_bn_to_gn",
    "convert_norm",
    "distill",
]
