#pragma once
// Files as streams of bytes. Reading sees through gzip and never trusts a size the file only claims; writing
// replaces a file as a whole or leaves it as it was.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "runtime/arena.h"

namespace tenon {

// Returns read(). The door of every reader of a file: if there is not the memory for what the file holds, or
// claims to, the Error names the file.
template <typename Read>
auto reading(const std::filesystem::path& path, const Read& read) {
  try {
    return read();
  } catch (const OutOfMemory& error) {
    throw Error(fmt::format("{}: cannot be read: {}", path.string(), error.what()));
  } catch (const std::bad_alloc&) {
    std::error_code unknown;
    throw Error(fmt::format("{}: cannot be read: there is no more memory for its {} bytes", path.string(),
                            std::filesystem::file_size(path, unknown)));
  }
}

class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path);  // Error if it cannot be opened
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  // Reads up to `bytes`, fewer only at the end. Error if the gzip stream is damaged or the disk fails.
  int64_t read(std::byte* to, int64_t bytes);
  // The same, but fewer is an Error: "images.idx: truncated at byte 16: 4 more bytes expected for the
  // extents".
  void read_exactly(std::byte* to, int64_t bytes, std::string_view what);
  // Error unless `bytes` more can be there at all, so that nothing is allocated because of a wrong header.
  void expect(int64_t bytes, std::string_view what) const;
  void expect_end();  // Error if there are more bytes

  int64_t offset() const { return offset_; }  // of the next byte, after decompression
  const std::string& name() const { return name_; }

 private:
  [[noreturn]] void truncated(int64_t at, int64_t bytes, std::string_view what) const;

  std::string name_;
  void* stream_ = nullptr;
  int64_t offset_ = 0;
  int64_t most_ = 0;  // no more bytes than this can be in the file
};

// The bytes of a file as they are, also of a gzip file, one after the other.
class RawFile {
 public:
  explicit RawFile(const std::filesystem::path& path);  // Error if it cannot be opened or has no size
  ~RawFile();
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;

  int64_t size() const { return size_; }
  void read(std::byte* to, int64_t bytes);  // Error if there are fewer, or the disk fails

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

std::vector<std::byte> read_file(const std::filesystem::path& path);  // all of them

// The parts, one after the other, become the file: written to a temporary beside it, synced, renamed over it,
// and the folder synced. Temporaries that killed saves of the same path left behind are removed. Error if the
// folder or an existing file is not writable; the old file is then intact.
void replace_file(const std::filesystem::path& path, std::span<const std::span<const std::byte>> parts);

}  // namespace tenon
