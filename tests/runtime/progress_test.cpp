#include "runtime/progress.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <thread>

using namespace tenon;

TEST_CASE("the bar tells share, mean loss, speed and the time left") {
  Progress bar(stderr, "epoch 3/10", 1000);
  bar.add(100, 2.0);
  bar.add(300, 1.0);
  CHECK(bar.loss() == doctest::Approx(1.25));
  CHECK(bar.line(0.5) == "epoch 3/10 [=========>              ]  40% loss 1.2500  800 examples/s  ETA 1 s");
  CHECK(bar.line(0.01) == "epoch 3/10 [=========>              ]  40% loss 1.2500  40k examples/s  ETA 0 s");
  bar.add(600, 0);
  CHECK(bar.line(1).starts_with("epoch 3/10 [========================] 100% loss 0.5000"));
}

TEST_CASE("on what is no terminal nothing appears; on a terminal the bar is drawn and taken away") {
  std::FILE* file = std::tmpfile();
  {
    Progress bar(file, "epoch", 10);
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    bar.add(5, 1);
  }
  CHECK(std::ftell(file) == 0);
  std::fclose(file);

  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) return;  // no terminals on this machine
  std::FILE* screen = std::fopen(ptsname(terminal), "w");
  REQUIRE(screen);
  {
    Progress bar(screen, "epoch", 10);
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    bar.add(5, 1);
  }
  char seen[4096];
  const ssize_t size = read(terminal, seen, sizeof seen);
  const std::string text(seen, static_cast<size_t>(std::max<ssize_t>(size, 0)));
  CHECK(text.starts_with("\r\x1b[Kepoch [============>           ]  50% loss 1.0000"));
  CHECK(text.ends_with("\r\x1b[K"));
  std::fclose(screen);
  close(terminal);
}
