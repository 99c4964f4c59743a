// The TensorFlow ops of group normalization on CPUs: forward and backward, in one pass over memory for the sums
// and one for the result. They are an implementation of keras_gn.ops.group_normalize, whose docstring has the
// formula; graphs that hold them are not to be exported.

#include <cstdlib>
#include <cstring>
#include <vector>

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/lib/core/threadpool.h"

#include "backward.h"
#include "forward.h"
#include "geometry.h"
#include "loops.h"

namespace keras_gn {
namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::errors::InvalidArgument;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// The best loops for this machine; KERAS_GN_INSTRUCTION_SET may ask for less, to test each of them.
template <typename T>
const Loops<T>& choose_loops() {
#ifdef KERAS_GN_X86
  const char* asked = std::getenv("KERAS_GN_INSTRUCTION_SET");
  const bool any = asked == nullptr || std::strcmp(asked, "avx512") == 0;
  const bool only_avx2 = !any && std::strcmp(asked, "avx2") == 0;
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (any && has_avx512) return avx512::loops<T>();
  if ((any || only_avx2) && has_avx2) return avx2::loops<T>();
#endif
  return baseline::loops<T>();
}

// The loops' name for TensorFlow's element type T.
template <typename T>
struct ElementType {
  using type = T;
};
template <>
struct ElementType<Eigen::half> {
  using type = Float16;
};
template <>
struct ElementType<tensorflow::bfloat16> {
  using type = BFloat16;
};

template <typename T>
const T* data_of(const Tensor& tensor) {
  return reinterpret_cast<const T*>(tensor.tensor_data().data());
}

template <typename T>
T* data_of(Tensor* tensor) {
  return reinterpret_cast<T*>(const_cast<char*>(tensor->tensor_data().data()));
}

// What the forward and the backward op have in common.
template <typename T>
class GroupOp : public OpKernel {
 public:
  using E = typename ElementType<T>::type;
  using W = Wide<E>;

  explicit GroupOp(OpKernelConstruction* context) : OpKernel(context), loops_(choose_loops<E>()) {
    bool channels_last;
    std::string activation;
    OP_REQUIRES_OK(context, context->GetAttr("groups", &groups_));
    OP_REQUIRES_OK(context, context->GetAttr("channels_last", &channels_last));
    OP_REQUIRES_OK(context, context->GetAttr("activation", &activation));
    layout_ = channels_last ? Layout::kChannelsLast : Layout::kChannelsFirst;
    activation_ = activation == "relu"   ? Activation::kRelu
                  : activation == "silu" ? Activation::kSilu
                                         : Activation::kNone;
  }

 protected:
  Geometry geometry_of(const Tensor& x) const {
    const int rank = x.dims();
    const int axis = layout_ == Layout::kChannelsLast ? rank - 1 : 1;
    int64_t positions = 1;
    for (int i = 1; i < rank; ++i) positions *= i == axis ? 1 : x.dim_size(i);
    return Geometry(layout_, x.dim_size(0), positions, x.dim_size(axis), groups_);
  }

  tensorflow::Status check(const Tensor& x, const Tensor& gamma, const Tensor& beta) const {
    if (x.dims() < 2) return InvalidArgument("x must have a rank of at least 2, got ", x.shape().DebugString());
    const int64_t channels = x.dim_size(layout_ == Layout::kChannelsLast ? x.dims() - 1 : 1);
    if (channels == 0 || channels % groups_ != 0) {
      return InvalidArgument("groups=", groups_, " must divide the ", channels, " channels");
    }
    for (const Tensor* parameter : {&gamma, &beta}) {
      if (parameter->NumElements() != 0 && parameter->NumElements() != channels) {
        return InvalidArgument("gamma and beta must have ", channels, " or no elements, got ",
                               parameter->shape().DebugString());
      }
    }
    return tensorflow::OkStatus();
  }

  template <typename Sample, typename Pass>
  static void run(OpKernelContext* context, const Geometry& geometry, const Pass& pass) {
    const auto* workers = context->device()->tensorflow_cpu_worker_threads();
    const int threads = geometry.threads(workers->num_threads);
    std::vector<Sample> shared;
    auto steps = steps_of_samples<Sample>(
        geometry, threads, [&](int64_t n) { return Sample(pass, n); }, &shared);
    run_steps(std::move(steps), threads - 1, [=](std::function<void()> work) { workers->workers->Schedule(work); });
  }

  // The values for each channel: those of `tensor`, or `absent` where it is empty.
  static std::vector<W> parameter(const Tensor& tensor, int64_t channels, W absent) {
    if (tensor.NumElements() == 0) return std::vector<W>(channels, absent);
    const W* values = tensor.flat<W>().data();
    return std::vector<W>(values, values + channels);
  }

  const Loops<E>& loops_;
  int64_t groups_;
  Layout layout_;
  Activation activation_;
};

template <typename T>
class GroupNormalizeOp : public GroupOp<T> {
 public:
  using typename GroupOp<T>::E;
  using typename GroupOp<T>::W;
  using GroupOp<T>::GroupOp;

  void Compute(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &gamma = context->input(1), &beta = context->input(2);
    OP_REQUIRES_OK(context, this->check(x, gamma, beta));
    const Geometry geometry = this->geometry_of(x);
    Tensor *y, *mean, *inverse_deviation;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    const TensorShape statistics({geometry.samples, geometry.groups});
    OP_REQUIRES_OK(context, context->allocate_output(1, statistics, &mean));
    OP_REQUIRES_OK(context, context->allocate_output(2, statistics, &inverse_deviation));
    if (x.NumElements() == 0) {
      mean->flat<double>().setZero();
      inverse_deviation->flat<double>().setZero();
      return;
    }
    const std::vector<W> gammas = this->parameter(gamma, geometry.channels, W(1)),
                         betas = this->parameter(beta, geometry.channels, W(0));
    const ForwardPass<E> pass = {geometry,
                                 this->loops_,
                                 this->activation_,
                                 context->input(3).scalar<double>()(),
                                 data_of<E>(x),
                                 gammas.data(),
                                 betas.data(),
                                 data_of<E>(y),
                                 mean->flat<double>().data(),
                                 inverse_deviation->flat<double>().data()};
    this->template run<ForwardSample<E>>(context, geometry, pass);
  }
};

template <typename T>
class GroupNormalizeGradientOp : public GroupOp<T> {
 public:
  using typename GroupOp<T>::E;
  using typename GroupOp<T>::W;
  using GroupOp<T>::GroupOp;

  void Compute(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &dy = context->input(1), &gamma = context->input(2),
                 &beta = context->input(3), &mean = context->input(5), &inverse_deviation = context->input(6);
    OP_REQUIRES_OK(context, this->check(x, gamma, beta));
    OP_REQUIRES(context, dy.shape() == x.shape(), InvalidArgument("dy must have the shape of x"));
    const Geometry geometry = this->geometry_of(x);
    const int64_t statistics = geometry.samples * geometry.groups;
    OP_REQUIRES(context, mean.NumElements() == statistics && inverse_deviation.NumElements() == statistics,
                InvalidArgument("mean and inverse_deviation must be [samples, groups]"));
    Tensor *dx, *dgamma, *dbeta;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({1}, 0, x.shape(), &dx));
    OP_REQUIRES_OK(context, context->allocate_output(1, TensorShape({geometry.channels}), &dgamma));
    OP_REQUIRES_OK(context, context->allocate_output(2, TensorShape({geometry.channels}), &dbeta));
    std::vector<double> gamma_sums(geometry.samples * geometry.channels), beta_sums(gamma_sums.size());
    const std::vector<W> gammas = this->parameter(gamma, geometry.channels, W(1)),
                         betas = this->parameter(beta, geometry.channels, W(0));
    const BackwardPass<E> pass = {geometry,
                                  this->loops_,
                                  this->activation_,
                                  data_of<E>(x),
                                  data_of<E>(dy),
                                  gammas.data(),
                                  betas.data(),
                                  mean.flat<double>().data(),
                                  inverse_deviation.flat<double>().data(),
                                  data_of<E>(dx),
                                  gamma_sums.data(),
                                  beta_sums.data()};
    if (x.NumElements() > 0) this->template run<BackwardSample<E>>(context, geometry, pass);
    add_samples(gamma_sums, dgamma->flat<W>().data(), geometry);
    add_samples(beta_sums, dbeta->flat<W>().data(), geometry);
  }

 private:
  // [samples, channels] -> [channels]
  static void add_samples(const std::vector<double>& sums, W* total, const Geometry& geometry) {
    std::vector<double> sum(geometry.channels);
    for (int64_t n = 0; n < geometry.samples; ++n) {
      for (int64_t c = 0; c < geometry.channels; ++c) sum[c] += sums[n * geometry.channels + c];
    }
    for (int64_t c = 0; c < geometry.channels; ++c) total[c] = static_cast<W>(sum[c]);
  }
};

// [N, ..., C] or [N, C, ...] -> [N, G] and [C]
tensorflow::Status shapes(InferenceContext* context, ShapeHandle* statistics, ShapeHandle* parameter) {
  ShapeHandle x;
  TF_RETURN_IF_ERROR(context->WithRankAtLeast(context->input(0), 2, &x));
  bool channels_last;
  int64_t groups;
  TF_RETURN_IF_ERROR(context->GetAttr("channels_last", &channels_last));
  TF_RETURN_IF_ERROR(context->GetAttr("groups", &groups));
  *statistics = context->Matrix(context->Dim(x, 0), groups);
  *parameter = context->Vector(context->Dim(x, channels_last ? -1 : 1));
  return tensorflow::OkStatus();
}

#define KERAS_GN_ATTRIBUTES                                            \
  Attr("T: {half, bfloat16, float, double}")                           \
      .Attr("W: {float, double}")                                      \
      .Attr("groups: int >= 1")                                        \
      .Attr("channels_last: bool")                                     \
      .Attr("activation: {'linear', 'relu', 'silu'} = 'linear'")

// `gamma` and `beta` may be empty for 1 and 0.
REGISTER_OP("KerasGn>GroupNormalize")
    .Input("x: T")
    .Input("gamma: W")
    .Input("beta: W")
    .Input("epsilon: double")
    .Output("y: T")
    .Output("mean: double")
    .Output("inverse_deviation: double")
    .KERAS_GN_ATTRIBUTES.SetShapeFn([](InferenceContext* context) {
      ShapeHandle statistics, parameter;
      TF_RETURN_IF_ERROR(shapes(context, &statistics, &parameter));
      context->set_output(0, context->input(0));
      context->set_output(1, statistics);
      context->set_output(2, statistics);
      return tensorflow::OkStatus();
    });

// `epsilon` is for the gradient of the gradient alone.
REGISTER_OP("KerasGn>GroupNormalizeGradient")
    .Input("x: T")
    .Input("dy: T")
    .Input("gamma: W")
    .Input("beta: W")
    .Input("epsilon: double")
    .Input("mean: double")
    .Input("inverse_deviation: double")
    .Output("dx: T")
    .Output("dgamma: W")
    .Output("dbeta: W")
    .KERAS_GN_ATTRIBUTES.SetShapeFn([](InferenceContext* context) {
      ShapeHandle statistics, parameter;
      TF_RETURN_IF_ERROR(shapes(context, &statistics, &parameter));
      context->set_output(0, context->input(0));
      context->set_output(1, parameter);
      context->set_output(2, parameter);
      return tensorflow::OkStatus();
    });

#define KERAS_GN_REGISTER(T, W)                                                                            \
  REGISTER_KERNEL_BUILDER(                                                                                 \
      Name("KerasGn>GroupNormalize").Device(DEVICE_CPU).TypeConstraint<T>("T").TypeConstraint<W>("W"),     \
      GroupNormalizeOp<T>);                                                                                \
  REGISTER_KERNEL_BUILDER(                                                                                 \
      Name("KerasGn>GroupNormalizeGradient").Device(DEVICE_CPU).TypeConstraint<T>("T").TypeConstraint<W>("W"), \
      GroupNormalizeGradientOp<T>);
KERAS_GN_REGISTER(float, float)
KERAS_GN_REGISTER(double, double)
KERAS_GN_REGISTER(Eigen::half, float)
KERAS_GN_REGISTER(tensorflow::bfloat16, float)

}  // namespace
}  // namespace keras_gn
