// One matrix product by OpenBLAS, oneDNN and libxsmm, whichever were there at configure time. Operands are plain
// row-major memory for all of them: nothing is packed or reordered outside the timed call.
#include <dlfcn.h>

#include <memory>

#include "matmul.h"

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif
#ifdef HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>
#endif
#ifdef HAVE_LIBXSMM
#include <libxsmm.h>
#endif

namespace {

[[maybe_unused]] int narrow(int64_t extent) { return static_cast<int>(extent); }

#ifdef HAVE_OPENBLAS
std::function<void()> openblas(const Product& p, const float* a, const float* b, float* y) {
  auto transposed = [](bool t) { return t ? CblasTrans : CblasNoTrans; };
  return [=] {
    cblas_sgemm(CblasRowMajor, transposed(p.a_transposed), transposed(p.b_transposed), narrow(p.m), narrow(p.n), narrow(p.k), 1,
                a, narrow(p.a_transposed ? p.m : p.k), b, narrow(p.b_transposed ? p.k : p.n), 0, y, narrow(p.n));
  };
}
#endif

#ifdef HAVE_ONEDNN
std::function<void()> onednn(const Product& p, const float* a, const float* b, float* y) {
  using namespace dnnl;
  struct Prepared {
    engine device{engine::kind::cpu, 0};
    stream queue{device};
    memory a, b, y;
    matmul product;
  };
  auto prepared = std::make_shared<Prepared>();
  auto descriptor = [](int64_t rows, int64_t columns, bool transposed) {
    return memory::desc({rows, columns}, memory::data_type::f32, transposed ? memory::format_tag::ba : memory::format_tag::ab);
  };
  memory::desc da = descriptor(p.m, p.k, p.a_transposed), db = descriptor(p.k, p.n, p.b_transposed);
  memory::desc dy = descriptor(p.m, p.n, false);
#if DNNL_VERSION_MAJOR >= 3
  matmul::primitive_desc chosen(prepared->device, da, db, dy);
#else
  matmul::primitive_desc chosen(matmul::desc(da, db, dy), prepared->device);
#endif
  prepared->a = memory(da, prepared->device, const_cast<float*>(a));
  prepared->b = memory(db, prepared->device, const_cast<float*>(b));
  prepared->y = memory(dy, prepared->device, y);
  prepared->product = matmul(chosen);
  std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC, prepared->a}, {DNNL_ARG_WEIGHTS, prepared->b}, {DNNL_ARG_DST, prepared->y}};
  return [prepared, arguments] {
    prepared->product.execute(prepared->queue, arguments);
    prepared->queue.wait();
  };
}
#endif

#ifdef HAVE_LIBXSMM
// Generated for the exact extents. The library is column-major, so it multiplies the transposed matrices: b', then a'.
// It has no code for a first factor stored by rows; that one is transposed by its own function in each call.
std::function<void()> libxsmm(const Product& p, const float* a, const float* b, float* y) {
  const int m = narrow(p.n), n = narrow(p.m), k = narrow(p.k), ldb = p.a_transposed ? n : k;
  const float alpha = 1, beta = 0;
  const int flags = p.a_transposed ? LIBXSMM_GEMM_FLAG_TRANS_B : LIBXSMM_GEMM_FLAG_NONE;
  libxsmm_smmfunction kernel = libxsmm_smmdispatch(m, n, k, &m, &ldb, &m, &alpha, &beta, &flags, nullptr);
  if (!kernel) return {};
  if (!p.b_transposed) return [=] { kernel(b, a, y); };
  auto copy = std::make_shared<std::vector<float>>(static_cast<size_t>(p.n * p.k));
  return [=] {
    libxsmm_otrans(copy->data(), b, sizeof(float), k, m, k, m);
    kernel(copy->data(), a, y);
  };
}
#endif

}  // namespace

std::vector<Peer> peers() {
  std::vector<Peer> found;
#ifdef HAVE_OPENBLAS
  found.push_back({"OpenBLAS", openblas_get_config(), openblas});
#endif
#ifdef HAVE_ONEDNN
  const dnnl_version_t* version = dnnl_version();
  found.push_back({"oneDNN", fmt::format("{}.{}.{}", version->major, version->minor, version->patch), onednn});
#endif
#ifdef HAVE_LIBXSMM
  found.push_back({"libxsmm", LIBXSMM_VERSION, libxsmm});
#endif
  return found;
}

std::vector<std::string> absent_peers() {
  std::vector<std::string> absent;
#ifndef HAVE_OPENBLAS
  absent.push_back("OpenBLAS");
#endif
#ifndef HAVE_ONEDNN
  absent.push_back("oneDNN");
#endif
#ifndef HAVE_LIBXSMM
  absent.push_back("libxsmm");
#endif
  return absent;
}

// Whichever thread runtime a library brought with it.
void set_peer_threads(int threads) {
  for (const char* name : {"omp_set_num_threads", "openblas_set_num_threads"})
    if (void* function = dlsym(RTLD_DEFAULT, name)) reinterpret_cast<void (*)(int)>(function)(threads);
}
