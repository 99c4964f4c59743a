// Elements to and from the type they are computed in, and the activations. Selections instead of branches, so
// that compilers vectorize the loops around them. Included by loops.cc alone: everything here is compiled for
// one instruction set and must not be shared between object files, hence the unnamed namespace.

#ifndef KERAS_GN_NUMBERS_H_
#define KERAS_GN_NUMBERS_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#include "loops.h"

namespace keras_gn {
namespace {

inline uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline float widen(float x) { return x; }
inline double widen(double x) { return x; }
inline float widen(BFloat16 x) { return float_of(static_cast<uint32_t>(x.bits) << 16); }

inline float widen(Float16 x) {
  const uint32_t magnitude = static_cast<uint32_t>(x.bits & 0x7fffu) << 13;
  const uint32_t exponent = magnitude & (0x7c00u << 13);
  // The exponent's bias is 15 in float16 and 127 in float32. Subnormal numbers get a leading 1, then lose it.
  const float subnormal = float_of(magnitude + (113u << 23)) - float_of(113u << 23);
  const float special = float_of(magnitude + (224u << 23));
  const float normal = float_of(magnitude + (112u << 23));
  const float value = exponent == 0 ? subnormal : exponent == (0x7c00u << 13) ? special : normal;
  return float_of(bits_of(value) | static_cast<uint32_t>(x.bits & 0x8000u) << 16);
}

template <typename T>
inline T narrow(Wide<T> x);

template <>
inline float narrow<float>(float x) {
  return x;
}

template <>
inline double narrow<double>(double x) {
  return x;
}

// Both round to the nearest, ties to even, and keep NaN a NaN.
template <>
inline BFloat16 narrow<BFloat16>(float x) {
  const uint32_t bits = bits_of(x);
  const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  const uint32_t quiet = bits >> 16 | 0x40u;
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return {static_cast<uint16_t>(is_nan ? quiet : rounded)};
}

template <>
inline Float16 narrow<Float16>(float x) {
  const uint32_t bits = bits_of(x);
  const uint32_t magnitude = bits & 0x7fffffffu;
  // Adding 0.5 leaves a subnormal float16 in the lowest bits, rounded by the addition itself.
  const uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
  const uint32_t normal = (magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
  const uint32_t special = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
  const uint32_t value = magnitude >= (143u << 23) ? special : magnitude < (113u << 23) ? subnormal : normal;
  return {static_cast<uint16_t>(value | (bits >> 16 & 0x8000u))};
}

// e^x, to 2 units in the last place of float32; the library's function would keep loops from being vectorized.
inline float exponential(float x) {
  const float clipped = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
  const float round = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, which the lowest bits hold
  const float shifted = clipped * 1.44269504f + round;
  const float n = shifted - round;
  const float r = (clipped - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  float series = 1.0f / 5040.0f;
  series = series * r + 1.0f / 720.0f;
  series = series * r + 1.0f / 120.0f;
  series = series * r + 1.0f / 24.0f;
  series = series * r + 1.0f / 6.0f;
  series = series * r + 0.5f;
  series = series * r + 1.0f;
  series = series * r + 1.0f;
  return series * float_of((bits_of(shifted) - bits_of(round) + 127u) << 23);
}

inline double exponential(double x) { return std::exp(x); }

template <Activation activation, typename W>
inline W activate(W z) {
  if constexpr (activation == Activation::kRelu) return z < W(0) ? W(0) : z;  // NaN stays NaN
  if constexpr (activation == Activation::kSilu) return z / (W(1) + exponential(-z));
  return z;
}

// The gradient of z, given that of activate(z).
template <Activation activation, typename W>
inline W through_activation(W dy, W z) {
  if constexpr (activation == Activation::kRelu) return z > W(0) ? dy : W(0);
  if constexpr (activation == Activation::kSilu) {
    const W sigmoid = W(1) / (W(1) + exponential(-z));
    return dy * (sigmoid + z * sigmoid * (W(1) - sigmoid));
  }
  return dy;
}

}  // namespace
}  // namespace keras_gn

#endif  // KERAS_GN_NUMBERS_H_
