// The loops of loops.h, compiled for the instruction set called KERAS_GN_LOOPS. Nothing here may be an inline
// function of a shared header: the linker could pick the copy that was compiled for another machine.

#include "loops.h"

#include "numbers.h"

namespace keras_gn {
namespace KERAS_GN_LOOPS {
namespace {

// Channels-last sums are taken over blocks of so many rows and channels: in the elements' own type within a block,
// whose sums stay in the first-level cache, and in double over blocks.
constexpr int64_t kBlockRows = 64;
constexpr int64_t kBlockChannels = 512;
// Rows that are taken at once, so that what belongs to channels is loaded and stored once for all of them.
constexpr int64_t kRows = 4;
// Elements of a channels-first row whose gradients are added in their own type.
constexpr int64_t kRun = 512;

// A part of a channels-last tile, whose rows are `stride` elements apart.
struct Block {
  int64_t rows;
  int64_t channels;
  int64_t stride;
};

// Calls work(block, index of its first element, its first channel).
template <typename Work>
void for_each_block(Tile tile, Work work) {
  for (int64_t r = 0; r < tile.rows; r += kBlockRows) {
    const int64_t rows = tile.rows - r < kBlockRows ? tile.rows - r : kBlockRows;
    for (int64_t c = 0; c < tile.columns; c += kBlockChannels) {
      const int64_t channels = tile.columns - c < kBlockChannels ? tile.columns - c : kBlockChannels;
      work(Block{rows, channels, tile.columns}, r * tile.columns + c, c);
    }
  }
}

// Asks for memory that is needed soon. The loops over rows read several places in turn, and the processor's own
// prefetching doesn't see through that: from memory the sums took two to three times as long without this.
template <typename T>
void prefetch(const T* start, int64_t count) {
  const char* begin = reinterpret_cast<const char*>(start);
  const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(begin + i);
}

// Adds x - centre and its square, of `rows` rows.
template <int64_t rows, typename T>
void add_rows(const T* __restrict x, const Block& block, const Wide<T>* __restrict centre, Wide<T>* __restrict sum,
              Wide<T>* __restrict square) {
  for (int64_t r = 0; r < rows; ++r) prefetch(x + (rows + r) * block.stride, block.channels);
  for (int64_t c = 0; c < block.channels; ++c) {
    Wide<T> s = sum[c], q = square[c];
#pragma GCC unroll 4
    for (int64_t r = 0; r < rows; ++r) {
      const Wide<T> d = widen(x[r * block.stride + c]) - centre[c];
      s += d;
      q += d * d;
    }
    sum[c] = s;
    square[c] = q;
  }
}

// The moments of a block are taken about the mean of its first rows, so that the sums in float32 keep their digits
// whatever the pivot is, and then carried over to the pivot.
template <typename T>
void moments_of_block(const T* __restrict x, const Block& block, const Wide<T>* __restrict pivot,
                      double* __restrict sum, double* __restrict square) {
  using W = Wide<T>;
  W centre[kBlockChannels], s[kBlockChannels], q[kBlockChannels];
  const int64_t first = block.rows < kRows ? block.rows : kRows;
  const W share = W(1) / static_cast<W>(first);
  for (int64_t c = 0; c < block.channels; ++c) centre[c] = s[c] = q[c] = 0;
  for (int64_t r = 0; r < first; ++r) {
    for (int64_t c = 0; c < block.channels; ++c) centre[c] += (widen(x[r * block.stride + c]) - pivot[c]) * share;
  }
  for (int64_t c = 0; c < block.channels; ++c) centre[c] += pivot[c];
  int64_t r = 0;
  for (; r + kRows <= block.rows; r += kRows) add_rows<kRows>(x + r * block.stride, block, centre, s, q);
  for (; r < block.rows; ++r) add_rows<1>(x + r * block.stride, block, centre, s, q);
  const double rows = static_cast<double>(block.rows);
  for (int64_t c = 0; c < block.channels; ++c) {
    const double shift = static_cast<double>(centre[c]) - pivot[c];
    sum[c] += s[c] + rows * shift;
    square[c] += q[c] + shift * (2.0 * s[c] + rows * shift);
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
  if (layout == Layout::kChannelsFirst) {
    const int64_t n = tile.columns;
    for (int64_t r = 0; r < tile.rows; ++r) moments_of_row(x + r * n, n, pivot[r], sum + r, square + r);
    return;
  }
  for_each_block(tile, [=](const Block& block, int64_t i, int64_t c) {
    moments_of_block(x + i, block, pivot + c, sum + c, square + c);
  });
}

template <typename T>
void read(const T* x, int64_t stride, int64_t count, Wide<T>* values) {
  for (int64_t i = 0; i < count; ++i) values[i] = widen(x[i * stride]);
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
  if (layout == Layout::kChannelsFirst) {
    for (int64_t r = 0; r < tile.rows; ++r) {
      write_channel<activation>(x + r * n, n, affine.centre[r], affine.scale[r], affine.offset[r], y + r * n);
    }
    return;
  }
  for (int64_t r = 0; r < tile.rows; ++r) write_row<activation>(x + r * n, n, affine, y + r * n);
}

template <Activation activation, typename T>
void gradient_sums_of_block(const T* __restrict x, const T* __restrict dy, const Block& block,
                            const Affine<Wide<T>>& affine, double* __restrict sum, double* __restrict product) {
  using W = Wide<T>;
  const W *__restrict centre = affine.centre, *__restrict scale = affine.scale, *__restrict offset = affine.offset;
  W s[kBlockChannels], p[kBlockChannels];
  for (int64_t c = 0; c < block.channels; ++c) s[c] = p[c] = 0;
  for (int64_t r = 0; r < block.rows; ++r, x += block.stride, dy += block.stride) {
    prefetch(x + kRows * block.stride, block.channels);
    prefetch(dy + kRows * block.stride, block.channels);
    for (int64_t c = 0; c < block.channels; ++c) {
      const W d = widen(x[c]) - centre[c];
      const W dz = through_activation<activation>(widen(dy[c]), d * scale[c] + offset[c]);
      s[c] += dz;
      p[c] += dz * d;
    }
  }
  for (int64_t c = 0; c < block.channels; ++c) {
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
  if (layout == Layout::kChannelsFirst) {
    const int64_t n = tile.columns;
    for (int64_t r = 0; r < tile.rows; ++r) {
      gradient_sums_of_row<activation>(x + r * n, dy + r * n, n, affine.centre[r], affine.scale[r], affine.offset[r],
                                       sum + r, product + r);
    }
    return;
  }
  for_each_block(tile, [=](const Block& block, int64_t i, int64_t c) {
    const Affine<Wide<T>> here = {affine.centre + c, affine.scale + c, affine.offset + c};
    gradient_sums_of_block<activation>(x + i, dy + i, block, here, sum + c, product + c);
  });
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
  if (layout == Layout::kChannelsFirst) {
    for (int64_t r = 0; r < tile.rows; ++r) {
      write_gradient_channel<activation>(x + r * n, dy + r * n, n, affine.centre[r], affine.scale[r], affine.offset[r],
                                         terms.curve[r], terms.shift[r], dx + r * n);
    }
    return;
  }
  for (int64_t r = 0; r < tile.rows; ++r) {
    write_gradient_row<activation>(x + r * n, dy + r * n, n, affine, terms, dx + r * n);
  }
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
  static const Loops<T> table = {&read<T>, &moments<T>, &normalize<T>, &gradient_sums<T>, &gradient<T>};
  return table;
}

template const Loops<float>& loops<float>();
template const Loops<double>& loops<double>();
template const Loops<BFloat16>& loops<BFloat16>();
template const Loops<Float16>& loops<Float16>();

}  // namespace KERAS_GN_LOOPS
}  // namespace keras_gn
