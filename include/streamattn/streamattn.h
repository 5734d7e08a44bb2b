// Everything.
#pragma once

#include "streamattn/jit.h"
#include "streamattn/log.h"
#include "streamattn/version.h"
