// Everything.
#pragma once

#include "streamattn/jit.h"
