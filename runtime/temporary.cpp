// The kernel drops a lock with its holder, so a lock tells the temporary of a living writer from a leftover:
// across threads, reused pids, containers and machines. A pid in the name cannot, and O_TMPFILE does not
// help: what it makes needs a name, and can be left there, before it can replace a file.
#include "runtime/temporary.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <string>
#include <utility>

#include "ir/check.h"

namespace tenon {

namespace {
constexpr std::string_view mark = ".tenon-", ending = ".tmp";
constexpr size_t digits = 16;
constexpr size_t longest_name = 255;  // of most file systems

std::string name_begin(const std::filesystem::path& target) {
  return target.filename().string().substr(0, longest_name - mark.size() - digits - ending.size()) + std::string(mark);
}

bool is_temporary(std::string_view name, std::string_view begin) {
  if (!name.starts_with(begin) || !name.ends_with(ending)) return false;
  if (name.size() != begin.size() + digits + ending.size()) return false;
  const std::string_view number = name.substr(begin.size(), digits);
  return number.find_first_not_of("0123456789abcdef") == number.npos;
}

// Whether the name is still that of the open file, which is a plain one without another name.
bool is_named(int descriptor, const std::filesystem::path& path) {
  struct stat open_file, named;
  return fstat(descriptor, &open_file) == 0 && lstat(path.c_str(), &named) == 0 && S_ISREG(named.st_mode) &&
         named.st_nlink == 1 && named.st_dev == open_file.st_dev && named.st_ino == open_file.st_ino;
}

std::filesystem::path folder_of(const std::filesystem::path& target) {
  return target.has_parent_path() ? target.parent_path() : ".";
}
}  // namespace

Temporary::Temporary(const std::filesystem::path& target) : path_(target) {
  std::random_device random;
  for (int attempt = 0; attempt < 100; ++attempt) {
    path_.replace_filename(fmt::format("{}{:08x}{:08x}{}", name_begin(target), uint32_t{random()}, uint32_t{random()}, ending));
    descriptor_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno == EEXIST) continue;
    if (descriptor_ < 0) return;
    // Until it is locked, another save may take it for a leftover. Where there are no locks, leftovers stay.
    const bool taken = flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (!taken && access(path_.c_str(), F_OK) == 0) return;
    unlink(path_.c_str());
    close(std::exchange(descriptor_, -1));
  }
  errno = EBUSY;
}

Temporary::~Temporary() {
  if (descriptor_ < 0) return;
  if (!renamed_) unlink(path_.c_str());
  close(descriptor_);  // last: this is what unlocks it
}

bool Temporary::rename_to(const std::filesystem::path& target) { return renamed_ = rename(path_.c_str(), target.c_str()) == 0; }

bool sync_folder(const std::filesystem::path& target) {
  const int descriptor = open(folder_of(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return true;  // a folder that may be written but not read
  const int error = fsync(descriptor) == 0 ? 0 : errno;
  close(descriptor);
  errno = error;
  return error == 0 || error == EINVAL;  // EINVAL: the file system has nothing to sync in a folder
}

void remove_leftovers(const std::filesystem::path& target) {
  const std::string begin = name_begin(target);
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder_of(target), error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;
    const std::filesystem::path& path = entry->path();
    if (!is_temporary(path.filename().string(), begin)) continue;
    if (entry->symlink_status(gone).type() != std::filesystem::file_type::regular) continue;
    // For writing, since NFS locks no other; without links or waiting, should the name be another's by now.
    const int descriptor = open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) continue;
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0 && is_named(descriptor, path)) unlink(path.c_str());
    close(descriptor);
  }
}

}  // namespace tenon
