// The arithmetic of group normalization on pieces of memory, free of TensorFlow.
//
// A tile is a contiguous matrix of rows x columns within one sample. In the channels-last layout a column is a
// channel and a row a position; in the channels-first layout a row is a channel and a column a position. Arrays
// that belong to channels (pivot, centre, scale, ...) start at the tile's first channel.

#ifndef KERAS_GN_LOOPS_H_
#define KERAS_GN_LOOPS_H_

#include <cstdint>

namespace keras_gn {

struct BFloat16 {
  uint16_t bits;
};

struct Float16 {
  uint16_t bits;
};

// The type that elements are computed in. Some hundred elements are added in it, more in double.
template <typename T>
struct WideType {
  using type = float;
};
template <>
struct WideType<double> {
  using type = double;
};
template <typename T>
using Wide = typename WideType<T>::type;

enum class Layout { kChannelsLast, kChannelsFirst };
enum class Activation { kNone, kRelu, kSilu };

struct Form {
  Layout layout;
  Activation activation;
};

struct Tile {
  int64_t rows;
  int64_t columns;
};

// z = (x - centre) * scale + offset, per channel. `centre` is subtracted first, which is exact near the mean.
template <typename W>
struct Affine {
  const W* centre;
  const W* scale;
  const W* offset;
};

// dx = scale * dz + curve * (x - centre) + shift, per channel.
template <typename W>
struct GradientTerms {
  const W* curve;
  const W* shift;
};

template <typename T>
struct Loops {
  // values[i] = x[i * stride]
  void (*read)(const T* x, int64_t stride, int64_t count, Wide<T>* values);
  // sum += sum of (x - pivot), square += sum of (x - pivot)^2, per channel.
  void (*moments)(Layout, Tile, const T* x, const Wide<T>* pivot, double* sum, double* square);
  // y = activation(z); y may be x.
  void (*normalize)(Form, Tile, const T* x, Affine<Wide<T>>, T* y);
  // dz = dy * activation'(z); sum += sum of dz, product += sum of dz * (x - centre), per channel.
  void (*gradient_sums)(Form, Tile, const T* x, const T* dy, Affine<Wide<T>>, double* sum, double* product);
  // dx as above; dx may be dy.
  void (*gradient)(Form, Tile, const T* x, const T* dy, Affine<Wide<T>>, GradientTerms<Wide<T>>, T* dx);
};

// loops.cc is compiled once for each instruction set, under the name of that set.
#define KERAS_GN_DECLARE_LOOPS(NAME) \
  namespace NAME {                   \
  template <typename T>              \
  const Loops<T>& loops();           \
  }
KERAS_GN_DECLARE_LOOPS(baseline)
KERAS_GN_DECLARE_LOOPS(avx2)
KERAS_GN_DECLARE_LOOPS(avx512)
#undef KERAS_GN_DECLARE_LOOPS

}  // namespace keras_gn

#endif  // KERAS_GN_LOOPS_H_
