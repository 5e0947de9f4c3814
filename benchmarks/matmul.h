#pragma once
// What matmul.cpp multiplies, and the libraries it is compared with.
#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

// y[m,n] = sum over k of a[m,k] b[k,n], all row-major; a is stored as [k,m] if a_transposed, b as [n,k] if b_transposed.
struct Product {
  int64_t m, n, k;
  bool a_transposed = false, b_transposed = false;

  // "784x32x128 AtB": m x k x n, and how the operands are stored.
  std::string name() const { return fmt::format("{}x{}x{} {}", m, k, n, a_transposed ? "AtB" : b_transposed ? "ABt" : "AB"); }
  double flops() const { return 2.0 * static_cast<double>(m * n * k); }
};

// A library found at configure time. `prepare` does what a program does once per shape (a primitive, generated code) and
// gives what it does each time; empty if the library has nothing for the shape.
struct Peer {
  std::string name, version;
  std::function<std::function<void()>(const Product&, const float* a, const float* b, float* y)> prepare;
};
std::vector<Peer> peers();
std::vector<std::string> absent_peers();
void set_peer_threads(int threads);
