// Programmatic dependence of a kernel on the one before it (PTX ISA 9.7.13.13, griddepcontrol).
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

/// Waits until the kernels that this one depends on are complete and what they wrote is visible.
/// Nothing that they write may be touched before, nothing that they read written.
SA_DEVICE void dependency_wait() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

/// Lets kernels that depend on this one start, once every block has said so or exited.
SA_DEVICE void launch_dependents() {
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}

}  // namespace streamattn
