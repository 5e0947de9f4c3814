#include "compiler/kernel/verify.h"

#include <algorithm>
#include <map>

namespace tenon {
namespace {

template <typename... Args>
[[noreturn]] void broken(fmt::format_string<Args...> format, Args&&... args) {
  throw InternalError(fmt::format(format, std::forward<Args>(args)...));
}

const Buffer& buffer_of(const KernelList& list, BufferId id) {
  if (id < 0 || id >= static_cast<BufferId>(list.buffers.size())) broken("there is no buffer {}", id);
  return list.buffers[static_cast<size_t>(id)];
}

// One kernel: what its statements store, and that each of their loads finds a value.
class KernelVerifier {
 public:
  KernelVerifier(const Kernel& kernel, const KernelList& list, const std::vector<char>& written)
      : kernel_(kernel), list_(list), written_(written), outer_(kernel.rows) {
    if (kernel.contraction) outer_.insert(outer_.end(), {kernel.contraction->m, kernel.contraction->n});
  }

  void run() {
    for (size_t s = 0; s < kernel_.body.size(); ++s) writers_[kernel_.body[s].buffer].push_back(s);
    if (kernel_.check) operand("check", kernel_.check->index);
    if (kernel_.contraction)
      for (const Scalar& x : {kernel_.contraction->a, kernel_.contraction->b})
        each_load(x, [&](const Scalar& load) { operand("sum", load->integer); });
    for (size_t s = 0; s < kernel_.body.size(); ++s) {
      stores_once(s);
      const Statement& statement = kernel_.body[s];
      auto look = [&](const Scalar& load) { read(s, load); };
      each_load(statement.value, look);
      for (const Scalar& index : statement.index) each_load(index, look);
    }
  }

 private:
  const Buffer& buffer(BufferId id) const { return buffer_of(list_, id); }

  static void each_load(const Scalar& x, const std::function<void(const Scalar&)>& found) {
    visit(x, [&](const Scalar& node) {
      if (node->function == Scalar::load) found(node);
    });
  }

  // Whether memory holds a value of the buffer before this kernel begins.
  bool available(BufferId id) const {
    const Storage storage = buffer(id).storage;
    if (storage == Storage::arena || storage == Storage::output) return written_[static_cast<size_t>(id)];
    return in_memory(storage);
  }

  [[noreturn]] void unwritten(std::string_view reader, BufferId id) const {
    for (const Kernel& other : list_.kernels)
      for (const Statement& statement : other.body)
        if (statement.buffer == id)
          broken("{}: {} reads '{}' before {} writes it", kernel_.name, reader, buffer(id).name, other.name);
    broken("{}: {} reads '{}', which nothing writes", kernel_.name, reader, buffer(id).name);
  }

  // A buffer that is read while elements of the result are already being written.
  void operand(std::string_view reader, BufferId id) const {
    if (auto it = writers_.find(id); it != writers_.end())
      broken("{}: its {} reads '{}' while its statement {} writes it", kernel_.name, reader, buffer(id).name,
             it->second.front() + 1);
    if (!available(id)) unwritten(fmt::format("its {}", reader), id);
  }

  void read(size_t s, const Scalar& load) const {
    const BufferId id = load->integer;
    auto reader = [&] { return fmt::format("statement {}", s + 1); };
    if (buffer(id).storage == Storage::tile) {
      const Contraction* c = kernel_.contraction ? &*kernel_.contraction : nullptr;
      const bool own = c && c->accumulator == id && load->indices().size() == 2 &&
                       load->indices()[0] == Scalar::index(c->m.variable) &&
                       load->indices()[1] == Scalar::index(c->n.variable);
      if (!own)
        broken("{}: {} reads '{}' at another place than its own", kernel_.name, reader(), buffer(id).name);
      return;
    }
    const auto it = writers_.find(id);
    const bool before = it != writers_.end() && it->second.front() < s;
    if (!before && !available(id)) unwritten(reader(), id);
    if (it == writers_.end()) return;
    for (size_t writer : it->second)
      if (!same_place(load, kernel_.body[writer], writer == s))
        broken("{}: {} reads '{}' at another place than statement {} writes it", kernel_.name, reader(),
               buffer(id).name, writer + 1);
  }

  // Statements of a row follow one another, so there the same row is enough; elements of a tile, and one
  // statement's elements among themselves, have no order.
  bool same_place(const Scalar& load, const Statement& writer, bool one_statement) const {
    std::span<const Scalar> read = load->indices();
    if (writer.scatter || read.size() != writer.index.size()) return false;
    if (kernel_.contraction || one_statement)
      return std::equal(read.begin(), read.end(), writer.index.begin());
    if (buffer(writer.buffer).storage == Storage::row) return true;
    for (const Axis& row : kernel_.rows)
      for (size_t i = 0; i < read.size(); ++i)
        if (writer.index[i] == Scalar::index(row.variable) && !(read[i] == writer.index[i])) return false;
    return true;
  }

  // The indices are the loops themselves, each once, over the whole extents of the buffer; of a scatter the
  // first one is data.
  void stores_once(size_t s) const {
    const Statement& statement = kernel_.body[s];
    const Buffer& target = buffer(statement.buffer);
    auto wrong = [&](std::string_view what) {
      broken("{}: statement {} stores '{}' {}", kernel_.name, s + 1, target.name, what);
    };
    if (target.storage == Storage::input || target.storage == Storage::constant ||
        target.storage == Storage::tile)
      wrong("which it may only read");
    std::vector<Axis> loops = statement.axes;
    if (!kernel_.contraction && target.storage != Storage::row)
      loops.insert(loops.begin(), kernel_.rows.begin(), kernel_.rows.end());
    if (kernel_.contraction) loops = outer_;
    if (statement.index.size() != target.type.shape.size())
      wrong("with another number of indices than it has axes");
    for (size_t i = statement.scatter; i < statement.index.size(); ++i) {
      auto loop = std::find_if(loops.begin(), loops.end(), [&](const Axis& axis) {
        return statement.index[i] == Scalar::index(axis.variable) && axis.extent == target.type.shape[i];
      });
      if (loop == loops.end()) wrong("elsewhere than at its loops");
      loops.erase(loop);
    }
    for (const Axis& axis : loops)
      if (axis.extent != Extent(1)) wrong("more than once");
  }

  const Kernel& kernel_;
  const KernelList& list_;
  const std::vector<char>& written_;  // by buffer: by earlier kernels
  std::vector<Axis> outer_;
  std::map<BufferId, std::vector<size_t>> writers_;  // statements of this kernel, ascending
};

// What threads have touched since they last met.
class Barriers {
 public:
  explicit Barriers(const KernelList& list) : list_(list) {
    for (const Kernel& kernel : list.kernels) several_ |= kernel.threads > 1;
  }

  void pass(const Kernel& kernel, const Touched& touched) {
    if (checked_ && !kernel.check) meet(), flag_read_ = true;
    if (kernel.barrier) meet(), flag_read_ = false;
    if (several_ && kernel.check && flag_read_)
      broken("{}: its check writes the flag that another thread may still read", kernel.name);
    for (BufferId id : touched.read) apart(kernel, id, written_);
    for (BufferId id : touched.written) apart(kernel, id, written_), apart(kernel, id, read_);
    for (BufferId id : touched.read) note(read_, id, kernel);
    for (BufferId id : touched.written) note(written_, id, kernel);
    checked_ = kernel.check.has_value();
  }

 private:
  using Since = std::map<BufferId, const Kernel*>;  // the last kernel, of several threads if there was one

  void meet() { read_.clear(), written_.clear(); }
  static void note(Since& since, BufferId id, const Kernel& kernel) {
    const Kernel*& known = since[id];
    if (!known || known->threads == 1) known = &kernel;
  }
  // Kernels of one thread all run on the first.
  void apart(const Kernel& kernel, BufferId id, const Since& since) const {
    auto it = since.find(id);
    if (it != since.end() && (kernel.threads > 1 || it->second->threads > 1))
      broken("{} and {} touch '{}' on different threads, and no barrier is between them", it->second->name,
             kernel.name, buffer_of(list_, id).name);
  }

  const KernelList& list_;
  Since read_, written_;
  bool several_ = false;  // some kernel runs on several threads
  bool checked_ = false, flag_read_ = false;
};

// The kernels that may run while each one does: all between the same barriers, if it has several threads.
std::vector<std::pair<size_t, size_t>> spans(const KernelList& list) {
  std::vector<std::pair<size_t, size_t>> result;
  for (size_t first = 0; first < list.kernels.size();) {
    size_t next = first + 1;
    while (next < list.kernels.size() && !list.kernels[next].barrier) ++next;
    for (size_t k = first; k < next; ++k)
      result.push_back(list.kernels[k].threads > 1 ? std::pair(first, next - 1) : std::pair(k, k));
    first = next;
  }
  return result;
}

struct Life {
  BufferId buffer;
  size_t first, last;  // kernels
  int64_t begin, end;  // bytes
};

// In the order of their beginnings; the alive ones lie in a row, so that only neighbours can meet.
void verify_lives(const KernelList& list, std::vector<Life> lives) {
  std::stable_sort(lives.begin(), lives.end(),
                   [](const Life& a, const Life& b) { return a.first < b.first; });
  std::map<int64_t, const Life*> alive;     // by begin
  std::multimap<size_t, const Life*> ends;  // by last
  for (const Life& life : lives) {
    const Buffer& buffer = buffer_of(list, life.buffer);
    if (life.begin < 0 || life.begin % 64 != 0 || life.end > list.arena_bytes)
      broken("'{}' at {} does not lie in the arena of {} bytes", buffer.name, life.begin, list.arena_bytes);
    while (!ends.empty() && ends.begin()->first < life.first) {
      alive.erase(ends.begin()->second->begin);
      ends.erase(ends.begin());
    }
    if (life.begin == life.end) continue;
    auto after = alive.lower_bound(life.begin);
    auto meets = [&](const Life& other) {
      if (life.begin < other.end && other.begin < life.end)
        broken("'{}' (k{} to k{}) and '{}' (k{} to k{}) share bytes while both are alive",
               buffer_of(list, other.buffer).name, other.first + 1, other.last + 1, buffer.name,
               life.first + 1, life.last + 1);
    };
    if (after != alive.end()) meets(*after->second);
    if (after != alive.begin()) meets(*std::prev(after)->second);
    alive[life.begin] = &life;
    ends.emplace(life.last, &life);
  }
}

}  // namespace

void verify(const KernelList& list) {
  std::vector<char> written(list.buffers.size());
  std::map<BufferId, Life> lives;
  const auto span = spans(list);
  Barriers barriers(list);
  for (size_t k = 0; k < list.kernels.size(); ++k) {
    const Kernel& kernel = list.kernels[k];
    KernelVerifier(kernel, list, written).run();
    Touched touched = touched_buffers(kernel, list);
    barriers.pass(kernel, touched);
    for (BufferId id : touched.written) written[static_cast<size_t>(id)] = true;
    touched.read.merge(touched.written);
    for (BufferId id : touched.read) {
      const Buffer& buffer = buffer_of(list, id);
      if (buffer.storage != Storage::arena || buffer.offset < 0) continue;
      const Life now{id, span[k].first, span[k].second, buffer.offset,
                     buffer.offset + buffer.type.bytes(list.maximum)};
      Life& life = lives.try_emplace(id, now).first->second;
      life.first = std::min(life.first, now.first), life.last = std::max(life.last, now.last);
    }
  }
  std::vector<char> stored(list.outputs.size());
  std::map<int64_t, bool> updated;
  for (size_t id = 0; id < list.buffers.size(); ++id) {
    const Buffer& buffer = list.buffers[id];
    if (buffer.storage == Storage::output && written[id]) stored[static_cast<size_t>(buffer.slot)] = true;
    if (buffer.storage == Storage::state && written[id]) updated[buffer.slot] = true;
  }
  for (size_t slot = 0; slot < stored.size(); ++slot)
    if (!stored[slot]) broken("nothing writes the output '{}'", list.outputs[slot]);
  for (int64_t slot : list.updated)
    if (!updated.contains(slot))
      broken("nothing writes the state '{}'", list.states[static_cast<size_t>(slot)]);
  std::vector<Life> all;
  for (const auto& [id, life] : lives) all.push_back(life);
  verify_lives(list, std::move(all));
}

}  // namespace tenon
