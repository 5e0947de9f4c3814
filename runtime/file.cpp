#include "runtime/file.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "runtime/temporary.h"

namespace tenon {

namespace {
constexpr int64_t deflate_ratio = 1032;  // deflate never shrinks further: 258 bytes take two bits
constexpr int64_t chunk = 1 << 20;

gzFile file(void* stream) { return static_cast<gzFile>(stream); }

[[noreturn]] void fail_errno(const std::filesystem::path& path, std::string_view what) {
  throw Error(fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno)));
}

void refuse_folder(const std::filesystem::path& path, std::string_view what) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) throw Error(fmt::format("{}: {}: it is a folder", path.string(), what));
}
}  // namespace

InputFile::InputFile(const std::filesystem::path& path) : name_(path.string()) {
  refuse_folder(path, "cannot be read");
  errno = 0;
  stream_ = gzopen(name_.c_str(), "rb");
  if (!stream_) throw Error(fmt::format("{}: cannot be read: {}", name_, std::strerror(errno ? errno : ENOMEM)));
  gzbuffer(file(stream_), 1 << 17);
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  // What has no size, a pipe say, may hold anything.
  most_ = error ? INT64_MAX : static_cast<int64_t>(std::min<uintmax_t>(size, INT64_MAX));
  if (!gzdirect(file(stream_)) && __builtin_mul_overflow(most_, deflate_ratio, &most_)) most_ = INT64_MAX;
}

InputFile::~InputFile() {
  if (stream_) gzclose(file(stream_));
}

int64_t InputFile::read(std::byte* to, int64_t bytes) {
  int64_t done = 0;
  while (done < bytes) {
    const int got = gzread(file(stream_), to + done, static_cast<unsigned>(std::min(bytes - done, chunk)));
    int code = Z_OK;
    std::string_view message = got <= 0 ? gzerror(file(stream_), &code) : "";
    if (code == Z_ERRNO) message = std::strerror(errno);
    if (message.starts_with(name_ + ": ")) message.remove_prefix(name_.size() + 2);
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END))
      throw Error(fmt::format("{}: damaged after byte {}: {}", name_, offset_, message));
    if (got == 0) break;
    done += got;
    offset_ += got;
  }
  return done;
}

void InputFile::truncated(int64_t at, int64_t bytes, std::string_view what) const {
  throw Error(fmt::format("{}: truncated at byte {}: {} more bytes expected for {}", name_, at, bytes, what));
}

void InputFile::read_exactly(std::byte* to, int64_t bytes, std::string_view what) {
  const int64_t got = read(to, bytes);
  if (got < bytes) truncated(offset_, bytes - got, what);
}

void InputFile::expect(int64_t bytes, std::string_view what) const {
  if (bytes > most_ - offset_) truncated(most_, bytes - (most_ - offset_), what);
}

void InputFile::expect_end() {
  std::byte extra;
  const int64_t end = offset_;
  if (read(&extra, 1) != 0) throw Error(fmt::format("{}: trailing bytes: the data ends at byte {}", name_, end));
}

RawFile::RawFile(const std::filesystem::path& path) : path_(path) {
  refuse_folder(path, "cannot be read");
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail_errno(path, "cannot be read");
  size_ = lseek(descriptor_, 0, SEEK_END);
  if (size_ >= 0 && lseek(descriptor_, 0, SEEK_SET) == 0) return;
  const int error = errno;
  close(descriptor_);
  errno = error;
  fail_errno(path, "cannot be read");
}

RawFile::~RawFile() { close(descriptor_); }

void RawFile::read(std::byte* to, int64_t bytes) {
  while (bytes > 0) {
    const ssize_t got = ::read(descriptor_, to, static_cast<size_t>(std::min<int64_t>(bytes, 1 << 30)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno(path_, "cannot be read");
    if (got == 0) throw Error(fmt::format("{}: cannot be read: it became shorter meanwhile", path_.string()));
    to += got;
    bytes -= got;
  }
}

std::vector<std::byte> read_file(const std::filesystem::path& path) {
  return reading(path, [&] {
    RawFile file(path);
    require_memory(file.size(), "all of the file");
    std::vector<std::byte> bytes(static_cast<size_t>(file.size()));
    file.read(bytes.data(), file.size());
    return bytes;
  });
}

void replace_file(const std::filesystem::path& path, std::span<const std::span<const std::byte>> parts) {
  if (access(path.c_str(), F_OK) == 0 && access(path.c_str(), W_OK) != 0) fail_errno(path, "cannot be written");
  refuse_folder(path, "cannot be written");
  remove_leftovers(path);  // first: on a full disk they may be what fills it
  Temporary temporary(path);
  if (temporary.descriptor() < 0) fail_errno(path, "cannot be written");
  for (std::span<const std::byte> part : parts)
    while (!part.empty()) {
      const ssize_t done = write(temporary.descriptor(), part.data(), std::min<size_t>(part.size(), 1 << 30));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail_errno(path, "cannot be written");
      part = part.subspan(static_cast<size_t>(done));
    }
  if (fsync(temporary.descriptor()) != 0) fail_errno(path, "cannot be written");
  if (!temporary.rename_to(path)) fail_errno(path, "cannot be written");
  if (!sync_folder(path)) fail_errno(path, "was written, but its folder was not synced");
}

}  // namespace tenon
