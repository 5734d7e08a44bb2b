// One golden kernel on the emulator, as it stands or with a fault planted in its templates.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "emulator/emulated_kernel.h"
#include "measure/backward_accuracy.h"
#include "tests/support/forward_case.h"
#include "tests/support/golden_cases.h"

namespace streamattn {

/// A forward kernel on the emulator.
class EmulatedKernel {
 public:
  /// Templates in `instead` take the place of their namesakes.
  EmulatedKernel(const Problem& problem, const Choice& choice, const Program& program,
                 std::span<const EmbeddedFile> instead = {})
      : problem_(problem),
        choice_(choice),
        program_(std::make_shared<const EmulatedProgram>(program, instead)) {}

  const Problem& problem() const { return problem_; }

  /// The same kernels under a schedule that is launched in another way: "splits=3".
  EmulatedKernel with(const std::string& knobs) const;

  /// Launches with a poisoned workspace of the size that the kernel asks for.
  void emulate(const ForwardArgs& args, const Emulation& how) const;
  void launch(const ForwardArgs& args) const { emulate(args, {}); }

 private:
  Problem problem_;
  Choice choice_;
  std::shared_ptr<const EmulatedProgram> program_;
};

/// A backward kernel on the emulator.
class EmulatedBackward {
 public:
  /// Templates in `instead` take the place of their namesakes.
  explicit EmulatedBackward(const GoldenCase& golden, std::span<const EmbeddedFile> instead = {})
      : golden_(golden),
        program_(std::make_shared<const EmulatedProgram>(golden.program(), instead)) {}

  /// The tensors of a case after a launch, with o and lse of the CPU; `change` may do something to
  /// them before.
  BackwardTensors emulate(const BackwardCase& given, const Emulation& how = {},
                          const std::function<void(BackwardTensors&)>& change = {}) const;

 private:
  GoldenCase golden_;
  std::shared_ptr<const EmulatedProgram> program_;
};

/// A forward call of a golden kernel of dense tensors. Where an index is a position, none is
/// negative.
ForwardCase forward_call_of(const GoldenCase& golden, const Shape& shape, std::uint64_t seed = 1);

/// A backward call of a golden kernel.
BackwardCase backward_call_of(const GoldenCase& golden, const Shape& shape, std::uint64_t seed = 1);

/// Checks all gradients against float64.
void check_gradients(const BackwardCase& given, const BackwardTensors& tensors);

/// Whether all gradients of two results are equal bit for bit.
bool same_gradients(BackwardTensors& a, BackwardTensors& b);

/// The golden case of this name.
GoldenCase golden_case(const std::string& name);

/// A replacement of text in a device template.
struct Fault {
  const char* file;  ///< such as "forward/flash_wgmma.cuh"
  const char* from;  ///< must occur there
  const char* to;    ///< takes its place everywhere
};

/// The template with the fault in it. Fails the test where there is no such text.
std::string faulty_text(const Fault& fault);

/// What the emulator says of the golden kernel with `fault`: its report, "wrong result" if there is
/// none but the result is off, "nothing" if all is well.
std::string report_of(const GoldenCase& golden, const Fault& fault, const Shape& shape,
                      std::uint64_t seed, std::optional<float> scale = {});

/// The same of a backward call; `change` as in EmulatedBackward::emulate().
std::string report_of(const GoldenCase& golden, const BackwardCase& given, const Fault& fault,
                      const Emulation& how,
                      const std::function<void(BackwardTensors&)>& change = {});

/// A fault that the emulator must catch in a golden kernel.
struct PlantedFault {
  const char* what;
  const char* kernel;  ///< the golden case
  Fault fault;
  const char* cause;  ///< part of the report
  Shape shape = {1, 2, 300, 300};
  std::optional<float> scale = {};
  const char* schedule = "";  ///< knobs that differ from the golden case's
};

/// Checks that the report of each of them names its cause.
void check_caught(const std::vector<PlantedFault>& faults);

}  // namespace streamattn
