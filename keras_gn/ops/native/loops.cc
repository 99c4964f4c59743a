// The loops of loops.h, compiled for the instruction set called KERAS_GN_LOOPS. Nothing here may be an inline
// function of a shared header: the linker could pick the copy that was compiled for another machine.

#include "loops.h"

#include "numbers.h"

namespace keras_gn {
namespace KERAS_GN_LOOPS {
namespace {

// Rows that channels-last moments take at once, so that the sums in double are loaded and stored once for all.
constexpr int kRows = 4;
// Rows and channels whose gradients are added in their own type before they are added in double; the sums of so
// many channels stay in the first-level cache.
constexpr int64_t kGradientRows = 64;
constexpr int64_t kChannels = 512;
// How far ahead, in elements, gradients are asked for.
constexpr int64_t kAhead = 1024;
// Elements of a channels-first row that are added in their own type before they are added in double.
constexpr int64_t kRun = 512;

// Asks for memory that is needed soon. The loops over rows read several places in turn, and the processor's own
// prefetching doesn't see through that: from memory the sums took two to three times as long without this.
template <typename T>
void prefetch(const T* start, int64_t count) {
  const char* begin = reinterpret_cast<const char*>(start);
  const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(begin + i);
}

template <int rows, typename T>
void add_moments(const T* __restrict x, int64_t channels, const Wide<T>* __restrict pivot, double* __restrict sum,
                 double* __restrict square) {
  for (int64_t c = 0; c < channels; ++c) {
    double s = 0, q = 0;
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const double d = widen(x[r * channels + c]) - pivot[c];
      s += d;
      q += d * d;
    }
    sum[c] += s;
    square[c] += q;
  }
}

template <typename T>
void moments_of_row(const T* __restrict x, int64_t count, Wide<T> pivot, double* sum, double* square) {
  double s = 0, q = 0;
#pragma omp simd reduction(+ : s, q)
  for (int64_t i = 0; i < count; ++i) {
    const double d = widen(x[i]) - pivot;
    s += d;
    q += d * d;
  }
  *sum += s;
  *square += q;
}

template <typename T>
void moments(Layout layout, Tile tile, const T* x, const Wide<T>* pivot, double* sum, double* square) {
  const int64_t n = tile.columns;
  int64_t r = 0;
  if (layout == Layout::kChannelsFirst) {
    for (; r < tile.rows; ++r) moments_of_row(x + r * n, n, pivot[r], sum + r, square + r);
    return;
  }
  for (; r + kRows <= tile.rows; r += kRows) {
    prefetch(x + (r + kRows) * n, kRows * n);
    add_moments<kRows>(x + r * n, n, pivot, sum, square);
  }
  for (; r < tile.rows; ++r) add_moments<1>(x + r * n, n, pivot, sum, square);
}

template <Activation activation, typename T>
void write_row(const T* x, int64_t channels, const Affine<Wide<T>>& affine, T* y) {
  const Wide<T>*__restrict centre = affine.centre, *__restrict scale = affine.scale, *__restrict offset = affine.offset;
#pragma GCC ivdep
  for (int64_t c = 0; c < channels; ++c) {
    y[c] = narrow<T>(activate<activation>((widen(x[c]) - centre[c]) * scale[c] + offset[c]));
  }
}

template <Activation activation, typename T>
void write_channel(const T* x, int64_t count, Wide<T> centre, Wide<T> scale, Wide<T> offset, T* y) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) y[i] = narrow<T>(activate<activation>((widen(x[i]) - centre) * scale + offset));
}

template <Activation activation, typename T>
void normalize_with(Layout layout, Tile tile, const T* x, const Affine<Wide<T>>& affine, T* y) {
  const int64_t n = tile.columns;
  int64_t r = 0;
  if (layout == Layout::kChannelsFirst) {
    for (; r < tile.rows; ++r) {
      write_channel<activation>(x + r * n, n, affine.centre[r], affine.scale[r], affine.offset[r], y + r * n);
    }
    return;
  }
  for (; r < tile.rows; ++r) write_row<activation>(x + r * n, n, affine, y + r * n);
}

// `channels` are some of the columns of a matrix whose rows are `stride` apart.
template <Activation activation, typename T>
void add_gradient_sums(int64_t rows, int64_t stride, int64_t channels, const T* __restrict x, const T* __restrict dy,
                       const Affine<Wide<T>>& affine, double* __restrict sum, double* __restrict product) {
  using W = Wide<T>;
  const W *__restrict centre = affine.centre, *__restrict scale = affine.scale, *__restrict offset = affine.offset;
  W s[kChannels], p[kChannels];
  for (int64_t c = 0; c < channels; ++c) s[c] = p[c] = 0;
  for (int64_t r = 0; r < rows; ++r, x += stride, dy += stride) {
    prefetch(x + kAhead, channels);
    prefetch(dy + kAhead, channels);
    for (int64_t c = 0; c < channels; ++c) {
      const W d = widen(x[c]) - centre[c];
      const W dz = through_activation<activation>(widen(dy[c]), d * scale[c] + offset[c]);
      s[c] += dz;
      p[c] += dz * d;
    }
  }
  for (int64_t c = 0; c < channels; ++c) {
    sum[c] += s[c];
    product[c] += p[c];
  }
}

template <Activation activation, typename T>
void gradient_sums_of_row(const T* __restrict x, const T* __restrict dy, int64_t count, Wide<T> centre, Wide<T> scale,
                          Wide<T> offset, double* sum, double* product) {
  using W = Wide<T>;
  for (int64_t start = 0; start < count; start += kRun) {
    const int64_t end = start + kRun < count ? start + kRun : count;
    W s = 0, p = 0;
#pragma omp simd reduction(+ : s, p)
    for (int64_t i = start; i < end; ++i) {
      const W d = widen(x[i]) - centre;
      const W dz = through_activation<activation>(widen(dy[i]), d * scale + offset);
      s += dz;
      p += dz * d;
    }
    *sum += s;
    *product += p;
  }
}

template <Activation activation, typename T>
void gradient_sums_with(Layout layout, Tile tile, const T* x, const T* dy, const Affine<Wide<T>>& affine, double* sum,
                        double* product) {
  const int64_t n = tile.columns;
  int64_t r = 0;
  if (layout == Layout::kChannelsFirst) {
    for (; r < tile.rows; ++r) {
      gradient_sums_of_row<activation>(x + r * n, dy + r * n, n, affine.centre[r], affine.scale[r], affine.offset[r],
                                       sum + r, product + r);
    }
    return;
  }
  for (; r < tile.rows; r += kGradientRows) {
    const int64_t rows = tile.rows - r < kGradientRows ? tile.rows - r : kGradientRows;
    for (int64_t c = 0; c < n; c += kChannels) {
      const int64_t channels = n - c < kChannels ? n - c : kChannels;
      const Affine<Wide<T>> here = {affine.centre + c, affine.scale + c, affine.offset + c};
      add_gradient_sums<activation>(rows, n, channels, x + r * n + c, dy + r * n + c, here, sum + c, product + c);
    }
  }
}

template <Activation activation, typename T>
void write_gradient_row(const T* x, const T* dy, int64_t channels, const Affine<Wide<T>>& affine,
                        const GradientTerms<Wide<T>>& terms, T* dx) {
  using W = Wide<T>;
  const W *__restrict centre = affine.centre, *__restrict scale = affine.scale, *__restrict offset = affine.offset;
  const W *__restrict curve = terms.curve, *__restrict shift = terms.shift;
#pragma GCC ivdep
  for (int64_t c = 0; c < channels; ++c) {
    const W d = widen(x[c]) - centre[c];
    const W dz = through_activation<activation>(widen(dy[c]), d * scale[c] + offset[c]);
    dx[c] = narrow<T>(scale[c] * dz + (curve[c] * d + shift[c]));
  }
}

template <Activation activation, typename T>
void write_gradient_channel(const T* x, const T* dy, int64_t count, Wide<T> centre, Wide<T> scale, Wide<T> offset,
                            Wide<T> curve, Wide<T> shift, T* dx) {
  using W = Wide<T>;
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const W d = widen(x[i]) - centre;
    const W dz = through_activation<activation>(widen(dy[i]), d * scale + offset);
    dx[i] = narrow<T>(scale * dz + (curve * d + shift));
  }
}

template <Activation activation, typename T>
void gradient_with(Layout layout, Tile tile, const T* x, const T* dy, const Affine<Wide<T>>& affine,
                   const GradientTerms<Wide<T>>& terms, T* dx) {
  const int64_t n = tile.columns;
  int64_t r = 0;
  if (layout == Layout::kChannelsFirst) {
    for (; r < tile.rows; ++r) {
      write_gradient_channel<activation>(x + r * n, dy + r * n, n, affine.centre[r], affine.scale[r], affine.offset[r],
                                         terms.curve[r], terms.shift[r], dx + r * n);
    }
    return;
  }
  for (; r < tile.rows; ++r) write_gradient_row<activation>(x + r * n, dy + r * n, n, affine, terms, dx + r * n);
}

// Calls f<activation>(...) for the activation that is known only now.
#define KERAS_GN_CALL(FUNCTION, ...)                                                       \
  switch (form.activation) {                                                               \
    case Activation::kNone:                                                                \
      return FUNCTION<Activation::kNone>(form.layout, tile, __VA_ARGS__);                  \
    case Activation::kRelu:                                                                \
      return FUNCTION<Activation::kRelu>(form.layout, tile, __VA_ARGS__);                  \
    case Activation::kSilu:                                                                \
      return FUNCTION<Activation::kSilu>(form.layout, tile, __VA_ARGS__);                  \
  }

template <typename T>
void normalize(Form form, Tile tile, const T* x, Affine<Wide<T>> affine, T* y) {
  KERAS_GN_CALL(normalize_with, x, affine, y)
}

template <typename T>
void gradient_sums(Form form, Tile tile, const T* x, const T* dy, Affine<Wide<T>> affine, double* sum,
                   double* product) {
  KERAS_GN_CALL(gradient_sums_with, x, dy, affine, sum, product)
}

template <typename T>
void gradient(Form form, Tile tile, const T* x, const T* dy, Affine<Wide<T>> affine, GradientTerms<Wide<T>> terms,
              T* dx) {
  KERAS_GN_CALL(gradient_with, x, dy, affine, terms, dx)
}
#undef KERAS_GN_CALL

}  // namespace

template <typename T>
const Loops<T>& loops() {
  static const Loops<T> table = {&moments<T>, &normalize<T>, &gradient_sums<T>, &gradient<T>};
  return table;
}

template const Loops<float>& loops<float>();
template const Loops<double>& loops<double>();
template const Loops<BFloat16>& loops<BFloat16>();
template const Loops<Float16>& loops<Float16>();

}  // namespace KERAS_GN_LOOPS
}  // namespace keras_gn
