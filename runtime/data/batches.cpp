#include "runtime/data/batches.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <new>
#include <numeric>
#include <system_error>
#include <thread>

namespace tenon {

namespace {
// Number `counter` of the sequence that `key` begins.
uint64_t split_mix(uint64_t key, uint64_t counter) {
  uint64_t z = key + (counter + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}
}  // namespace

std::vector<int64_t> shuffled(int64_t count, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  const uint64_t key = split_mix(split_mix(seed, 0), static_cast<uint64_t>(epoch));
  uint64_t counter = 0;
  for (size_t i = order.size(); i > 1; --i) {
    const uint64_t unfair = -static_cast<uint64_t>(i) % i;  // 2^64 mod i: that many numbers would favour some
    uint64_t random;
    do random = split_mix(key, counter++);
    while (random < unfair);
    std::swap(order[i - 1], order[random % i]);
  }
  return order;
}

struct Batches::Loader {
  static constexpr Position none{-1, 0};

  struct Buffer {
    std::vector<Tensor> storage;  // full batches
    std::vector<Tensor> views;    // the rows that are filled
    std::vector<int64_t> rows;
    Position begin = none, end;
    bool last = false;  // of its epoch
  };

  std::vector<Tensor> tensors;
  int64_t batch;
  BatchOptions options;
  int64_t count = 0;   // examples there are
  int64_t usable = 0;  // examples an epoch returns
  Buffer buffers[2];
  int current = 0;
  Position position;
  bool epoch_ended = false;
  int64_t order_epoch = -1;
  std::vector<int64_t> order;

  // The thread and the caller take turns: it owns buffers[1 - current], order and order_epoch while a request
  // is open.
  std::thread thread;
  std::mutex mutex;
  std::condition_variable changed;
  bool requested = false, ready = false, stop = false;
  bool in_flight = false;  // the caller's: a request has not been awaited

  Loader(std::vector<Tensor> given, int64_t batch, const BatchOptions& options)
      : tensors(std::move(given)), batch(batch), options(options) {
    if (tensors.empty() || tensors[0].rank() == 0) throw Error("batches: at least one tensor with a first axis");
    count = tensors[0].extents()[0];
    for (const Tensor& tensor : tensors)
      if (tensor.rank() == 0 || tensor.extents()[0] != count)
        throw Error(fmt::format("batches: the numbers of examples differ: {} and {}", tensors[0].str(), tensor.str()));
    if (batch < 1) throw Error(fmt::format("batches: the batch is {}, valid is 1 or more", batch));
    usable = options.drop_last ? count / batch * batch : count;
    if (usable == 0) throw Error(fmt::format("batches: no batch of {} in {} examples", batch, count));
    this->batch = std::min(batch, usable);
    for (Buffer& buffer : buffers) {
      for (const Tensor& tensor : tensors) {
        Extents extents = tensor.extents();
        extents[0] = this->batch;
        buffer.storage.emplace_back(tensor.dtype(), std::move(extents));
      }
      buffer.views.resize(tensors.size());
      if (!options.prefetch) break;  // the other buffer is never used
    }
    if (options.prefetch) try {
        thread = std::thread([this] { work(); });
      } catch (const std::system_error& error) {
        throw Error(fmt::format("batches: could not start the thread that prefetches: {}", error.what()));
      }
  }

  ~Loader() {
    if (!thread.joinable()) return;
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_all();
    thread.join();
  }

  void gather(Buffer& buffer, Position begin) {
    buffer.begin = none;  // until it is whole
    if (order_epoch != begin.epoch) {
      if (options.shuffle) order = shuffled(count, options.seed, begin.epoch);
      if (order.empty()) {
        order.resize(static_cast<size_t>(count));
        std::iota(order.begin(), order.end(), 0);
      }
      order_epoch = begin.epoch;
    }
    const int64_t end = std::min(begin.row + batch, usable), rows = end - begin.row;
    buffer.rows.assign(order.begin() + begin.row, order.begin() + end);
    for (size_t t = 0; t < tensors.size(); ++t) {
      const auto bytes = static_cast<size_t>(tensors[t].byte_count() / count);
      std::byte* to = buffer.storage[t].writable_data();
      for (int64_t row : buffer.rows) {
        if (bytes > 0) std::memcpy(to, tensors[t].data() + static_cast<size_t>(row) * bytes, bytes);
        to += bytes;
      }
      buffer.views[t] = rows == batch ? buffer.storage[t] : buffer.storage[t].rows(0, rows);
    }
    buffer.begin = begin;
    buffer.last = end == usable;
    buffer.end = buffer.last ? Position{begin.epoch + 1, 0} : Position{begin.epoch, end};
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return stop || requested; });
      if (stop) return;
      requested = false;
      Buffer& buffer = buffers[1 - current];
      const Position begin = position;
      lock.unlock();
      try {
        gather(buffer, begin);
      } catch (const std::bad_alloc&) {
        // next() gathers this batch again, and throws where the caller sees it
      }
      lock.lock();
      ready = true;
      changed.notify_all();
    }
  }

  // Asks the thread for the batch at `position`.
  void request() {
    {
      std::lock_guard lock(mutex);
      requested = true;
    }
    changed.notify_all();
    in_flight = true;
  }
  void await() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return ready; });
    ready = false;
    in_flight = false;
  }

  bool next() {
    if (epoch_ended) return epoch_ended = false;
    if (!options.prefetch) {
      gather(buffers[0], position);
    } else {
      if (in_flight) await();
      Buffer& other = buffers[1 - current];
      if (other.begin != position) gather(other, position);  // the first, or after a seek
      current = 1 - current;
    }
    position = buffers[current].end;
    epoch_ended = buffers[current].last;
    if (options.prefetch) request();
    return true;
  }
};

Batches::Batches(std::vector<Tensor> tensors, int64_t batch, const BatchOptions& options)
    : loader_(std::make_unique<Loader>(std::move(tensors), batch, options)) {}
Batches::Batches(Tensor images, Tensor labels, int64_t batch, uint64_t seed)
    : Batches(std::vector<Tensor>{std::move(images), std::move(labels)}, batch, {.seed = seed}) {}
Batches::Batches(Batches&&) noexcept = default;
Batches& Batches::operator=(Batches&&) noexcept = default;
Batches::~Batches() = default;

bool Batches::next() { return loader_->next(); }

const Tensor& Batches::operator[](size_t i) const {
  if (i >= loader_->tensors.size()) throw Error(fmt::format("batches: tensor {} of {}", i, loader_->tensors.size()));
  return loader_->buffers[loader_->current].views[i];
}

int64_t Batches::size() const { return static_cast<int64_t>(rows().size()); }
int64_t Batches::examples() const { return loader_->usable; }
int64_t Batches::batches() const { return (loader_->usable + loader_->batch - 1) / loader_->batch; }
const std::vector<int64_t>& Batches::rows() const { return loader_->buffers[loader_->current].rows; }
Position Batches::position() const { return loader_->position; }

void Batches::seek(Position position) {
  if (position.epoch < 0 || position.row < 0 || position.row >= loader_->usable)
    throw Error(fmt::format("batches: no row {} in epoch {} of {} examples", position.row, position.epoch, loader_->usable));
  if (loader_->in_flight) loader_->await();
  loader_->position = position;
  loader_->epoch_ended = false;
}

}  // namespace tenon
