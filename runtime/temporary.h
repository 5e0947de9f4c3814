#pragma once
// The file that a save writes beside its target before it takes the target's place. Private to the runtime.
#include <filesystem>

namespace tenon {

// Its name is the target's, cut to fit, with ".tenon-<16 hexadecimal digits>.tmp" after it.
class Temporary {
 public:
  // A new file, locked; descriptor() is -1, and errno says why, if there is none.
  explicit Temporary(const std::filesystem::path& target);
  ~Temporary();  // removes the file, unless it was renamed
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  int descriptor() const { return descriptor_; }
  bool rename_to(const std::filesystem::path& target);  // false and errno if it fails

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  bool renamed_ = false;
};

// Makes the new name last; false and errno if that fails.
bool sync_folder(const std::filesystem::path& target);

// Removes the temporaries of the target whose writers are dead, as far as that is allowed.
void remove_leftovers(const std::filesystem::path& target);

}  // namespace tenon
