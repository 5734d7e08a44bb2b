// Programmatic dependence; contracts are those of templates/ptx/dependency.cuh.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

SA_DEVICE void dependency_wait(SA_SITE) { streamattn_machine->dependency_wait(site); }

SA_DEVICE void launch_dependents(SA_SITE) { streamattn_machine->launch_dependents(site); }

}  // namespace streamattn
