#pragma once
// What a call says when it throws.
#include <functional>
#include <string>

#include "ir/check.h"

namespace tenon::test {

// The message of the Thrown that `action` throws; "no error" if it throws none.
template <typename Thrown = Error>
std::string message(const std::function<void()>& action) {
  try {
    action();
  } catch (const Thrown& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace tenon::test
