// Warpgroup matrix instructions m64nNk16 with 16-bit operands and float accumulators (PTX ISA
// 9.7.15.5). WGMMA_SHAPE(bf16, 128) defines Wgmma<bf16, 128>: an emitted file names the two or
// three shapes that its kernel needs, so that no compile pays for the others.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

/// Operations on a 64 x N tile D of floats, N / 2 registers a thread. Element i of a thread in
/// lane l of warp w is at row 16 w + l / 4 + 8 (i % 4 / 2), column 8 (i / 4) + 2 (l % 4) + i % 2.
///
///   multiply_ss(d, a, b)    D = A B     A and B in shared memory, given by descriptors
///   accumulate_ss(d, a, b)  D += A B
///   multiply_rs, accumulate_rs          A in registers: a[0..3] of one k16 step
///
/// B is K-major, or MN-major where b_major is 1; so is A in shared memory, by a_major. The
/// multiplying forms list D as outputs alone: with the old contents as a fake input ptxas
/// serialises every instruction (C7511).
///
/// One statement has as many instructions as `steps` says, 1, 2 or 4 k-steps: their descriptors lie
/// a_step and b_step apart, their registers of A follow each other. NVRTC takes its time over every
/// operand, and D is named once.
template <class Element, int N>
struct Wgmma;

// clang-format off

// Operand names of D for each N, and the list of its registers with constraint c.
#define WGMMA_NAMES_8 "%0, %1, %2, %3"
#define WGMMA_NAMES_16 WGMMA_NAMES_8 ", %4, %5, %6, %7"
#define WGMMA_NAMES_24 WGMMA_NAMES_16 ", %8, %9, %10, %11"
#define WGMMA_NAMES_32 WGMMA_NAMES_24 ", %12, %13, %14, %15"
#define WGMMA_NAMES_40 WGMMA_NAMES_32 ", %16, %17, %18, %19"
#define WGMMA_NAMES_48 WGMMA_NAMES_40 ", %20, %21, %22, %23"
#define WGMMA_NAMES_56 WGMMA_NAMES_48 ", %24, %25, %26, %27"
#define WGMMA_NAMES_64 WGMMA_NAMES_56 ", %28, %29, %30, %31"
#define WGMMA_NAMES_72 WGMMA_NAMES_64 ", %32, %33, %34, %35"
#define WGMMA_NAMES_80 WGMMA_NAMES_72 ", %36, %37, %38, %39"
#define WGMMA_NAMES_88 WGMMA_NAMES_80 ", %40, %41, %42, %43"
#define WGMMA_NAMES_96 WGMMA_NAMES_88 ", %44, %45, %46, %47"
#define WGMMA_NAMES_104 WGMMA_NAMES_96 ", %48, %49, %50, %51"
#define WGMMA_NAMES_112 WGMMA_NAMES_104 ", %52, %53, %54, %55"
#define WGMMA_NAMES_120 WGMMA_NAMES_112 ", %56, %57, %58, %59"
#define WGMMA_NAMES_128 WGMMA_NAMES_120 ", %60, %61, %62, %63"
#define WGMMA_NAMES_136 WGMMA_NAMES_128 ", %64, %65, %66, %67"
#define WGMMA_NAMES_144 WGMMA_NAMES_136 ", %68, %69, %70, %71"
#define WGMMA_NAMES_152 WGMMA_NAMES_144 ", %72, %73, %74, %75"
#define WGMMA_NAMES_160 WGMMA_NAMES_152 ", %76, %77, %78, %79"
#define WGMMA_NAMES_168 WGMMA_NAMES_160 ", %80, %81, %82, %83"
#define WGMMA_NAMES_176 WGMMA_NAMES_168 ", %84, %85, %86, %87"
#define WGMMA_NAMES_184 WGMMA_NAMES_176 ", %88, %89, %90, %91"
#define WGMMA_NAMES_192 WGMMA_NAMES_184 ", %92, %93, %94, %95"
#define WGMMA_NAMES_200 WGMMA_NAMES_192 ", %96, %97, %98, %99"
#define WGMMA_NAMES_208 WGMMA_NAMES_200 ", %100, %101, %102, %103"
#define WGMMA_NAMES_216 WGMMA_NAMES_208 ", %104, %105, %106, %107"
#define WGMMA_NAMES_224 WGMMA_NAMES_216 ", %108, %109, %110, %111"
#define WGMMA_NAMES_232 WGMMA_NAMES_224 ", %112, %113, %114, %115"
#define WGMMA_NAMES_240 WGMMA_NAMES_232 ", %116, %117, %118, %119"
#define WGMMA_NAMES_248 WGMMA_NAMES_240 ", %120, %121, %122, %123"
#define WGMMA_NAMES_256 WGMMA_NAMES_248 ", %124, %125, %126, %127"
#define WGMMA_LIST_8(c) c(d[0]), c(d[1]), c(d[2]), c(d[3])
#define WGMMA_LIST_16(c) WGMMA_LIST_8(c), c(d[4]), c(d[5]), c(d[6]), c(d[7])
#define WGMMA_LIST_24(c) WGMMA_LIST_16(c), c(d[8]), c(d[9]), c(d[10]), c(d[11])
#define WGMMA_LIST_32(c) WGMMA_LIST_24(c), c(d[12]), c(d[13]), c(d[14]), c(d[15])
#define WGMMA_LIST_40(c) WGMMA_LIST_32(c), c(d[16]), c(d[17]), c(d[18]), c(d[19])
#define WGMMA_LIST_48(c) WGMMA_LIST_40(c), c(d[20]), c(d[21]), c(d[22]), c(d[23])
#define WGMMA_LIST_56(c) WGMMA_LIST_48(c), c(d[24]), c(d[25]), c(d[26]), c(d[27])
#define WGMMA_LIST_64(c) WGMMA_LIST_56(c), c(d[28]), c(d[29]), c(d[30]), c(d[31])
#define WGMMA_LIST_72(c) WGMMA_LIST_64(c), c(d[32]), c(d[33]), c(d[34]), c(d[35])
#define WGMMA_LIST_80(c) WGMMA_LIST_72(c), c(d[36]), c(d[37]), c(d[38]), c(d[39])
#define WGMMA_LIST_88(c) WGMMA_LIST_80(c), c(d[40]), c(d[41]), c(d[42]), c(d[43])
#define WGMMA_LIST_96(c) WGMMA_LIST_88(c), c(d[44]), c(d[45]), c(d[46]), c(d[47])
#define WGMMA_LIST_104(c) WGMMA_LIST_96(c), c(d[48]), c(d[49]), c(d[50]), c(d[51])
#define WGMMA_LIST_112(c) WGMMA_LIST_104(c), c(d[52]), c(d[53]), c(d[54]), c(d[55])
#define WGMMA_LIST_120(c) WGMMA_LIST_112(c), c(d[56]), c(d[57]), c(d[58]), c(d[59])
#define WGMMA_LIST_128(c) WGMMA_LIST_120(c), c(d[60]), c(d[61]), c(d[62]), c(d[63])
#define WGMMA_LIST_136(c) WGMMA_LIST_128(c), c(d[64]), c(d[65]), c(d[66]), c(d[67])
#define WGMMA_LIST_144(c) WGMMA_LIST_136(c), c(d[68]), c(d[69]), c(d[70]), c(d[71])
#define WGMMA_LIST_152(c) WGMMA_LIST_144(c), c(d[72]), c(d[73]), c(d[74]), c(d[75])
#define WGMMA_LIST_160(c) WGMMA_LIST_152(c), c(d[76]), c(d[77]), c(d[78]), c(d[79])
#define WGMMA_LIST_168(c) WGMMA_LIST_160(c), c(d[80]), c(d[81]), c(d[82]), c(d[83])
#define WGMMA_LIST_176(c) WGMMA_LIST_168(c), c(d[84]), c(d[85]), c(d[86]), c(d[87])
#define WGMMA_LIST_184(c) WGMMA_LIST_176(c), c(d[88]), c(d[89]), c(d[90]), c(d[91])
#define WGMMA_LIST_192(c) WGMMA_LIST_184(c), c(d[92]), c(d[93]), c(d[94]), c(d[95])
#define WGMMA_LIST_200(c) WGMMA_LIST_192(c), c(d[96]), c(d[97]), c(d[98]), c(d[99])
#define WGMMA_LIST_208(c) WGMMA_LIST_200(c), c(d[100]), c(d[101]), c(d[102]), c(d[103])
#define WGMMA_LIST_216(c) WGMMA_LIST_208(c), c(d[104]), c(d[105]), c(d[106]), c(d[107])
#define WGMMA_LIST_224(c) WGMMA_LIST_216(c), c(d[108]), c(d[109]), c(d[110]), c(d[111])
#define WGMMA_LIST_232(c) WGMMA_LIST_224(c), c(d[112]), c(d[113]), c(d[114]), c(d[115])
#define WGMMA_LIST_240(c) WGMMA_LIST_232(c), c(d[116]), c(d[117]), c(d[118]), c(d[119])
#define WGMMA_LIST_248(c) WGMMA_LIST_240(c), c(d[120]), c(d[121]), c(d[122]), c(d[123])
#define WGMMA_LIST_256(c) WGMMA_LIST_248(c), c(d[124]), c(d[125]), c(d[126]), c(d[127])

// Numbers of the operands that follow D.
#define WGMMA_REST_8 "%4", "%5", "%6", "%7", "%8", "%9", "%10", "%11", "%12", "%13", "%14", "%15", "%16", "%17", "%18", "%19", "%20", "%21", "%22", "%23", "%24"
#define WGMMA_REST_16 "%8", "%9", "%10", "%11", "%12", "%13", "%14", "%15", "%16", "%17", "%18", "%19", "%20", "%21", "%22", "%23", "%24", "%25", "%26", "%27", "%28"
#define WGMMA_REST_24 "%12", "%13", "%14", "%15", "%16", "%17", "%18", "%19", "%20", "%21", "%22", "%23", "%24", "%25", "%26", "%27", "%28", "%29", "%30", "%31", "%32"
#define WGMMA_REST_32 "%16", "%17", "%18", "%19", "%20", "%21", "%22", "%23", "%24", "%25", "%26", "%27", "%28", "%29", "%30", "%31", "%32", "%33", "%34", "%35", "%36"
#define WGMMA_REST_40 "%20", "%21", "%22", "%23", "%24", "%25", "%26", "%27", "%28", "%29", "%30", "%31", "%32", "%33", "%34", "%35", "%36", "%37", "%38", "%39", "%40"
#define WGMMA_REST_48 "%24", "%25", "%26", "%27", "%28", "%29", "%30", "%31", "%32", "%33", "%34", "%35", "%36", "%37", "%38", "%39", "%40", "%41", "%42", "%43", "%44"
#define WGMMA_REST_56 "%28", "%29", "%30", "%31", "%32", "%33", "%34", "%35", "%36", "%37", "%38", "%39", "%40", "%41", "%42", "%43", "%44", "%45", "%46", "%47", "%48"
#define WGMMA_REST_64 "%32", "%33", "%34", "%35", "%36", "%37", "%38", "%39", "%40", "%41", "%42", "%43", "%44", "%45", "%46", "%47", "%48", "%49", "%50", "%51", "%52"
#define WGMMA_REST_72 "%36", "%37", "%38", "%39", "%40", "%41", "%42", "%43", "%44", "%45", "%46", "%47", "%48", "%49", "%50", "%51", "%52", "%53", "%54", "%55", "%56"
#define WGMMA_REST_80 "%40", "%41", "%42", "%43", "%44", "%45", "%46", "%47", "%48", "%49", "%50", "%51", "%52", "%53", "%54", "%55", "%56", "%57", "%58", "%59", "%60"
#define WGMMA_REST_88 "%44", "%45", "%46", "%47", "%48", "%49", "%50", "%51", "%52", "%53", "%54", "%55", "%56", "%57", "%58", "%59", "%60", "%61", "%62", "%63", "%64"
#define WGMMA_REST_96 "%48", "%49", "%50", "%51", "%52", "%53", "%54", "%55", "%56", "%57", "%58", "%59", "%60", "%61", "%62", "%63", "%64", "%65", "%66", "%67", "%68"
#define WGMMA_REST_104 "%52", "%53", "%54", "%55", "%56", "%57", "%58", "%59", "%60", "%61", "%62", "%63", "%64", "%65", "%66", "%67", "%68", "%69", "%70", "%71", "%72"
#define WGMMA_REST_112 "%56", "%57", "%58", "%59", "%60", "%61", "%62", "%63", "%64", "%65", "%66", "%67", "%68", "%69", "%70", "%71", "%72", "%73", "%74", "%75", "%76"
#define WGMMA_REST_120 "%60", "%61", "%62", "%63", "%64", "%65", "%66", "%67", "%68", "%69", "%70", "%71", "%72", "%73", "%74", "%75", "%76", "%77", "%78", "%79", "%80"
#define WGMMA_REST_128 "%64", "%65", "%66", "%67", "%68", "%69", "%70", "%71", "%72", "%73", "%74", "%75", "%76", "%77", "%78", "%79", "%80", "%81", "%82", "%83", "%84"
#define WGMMA_REST_136 "%68", "%69", "%70", "%71", "%72", "%73", "%74", "%75", "%76", "%77", "%78", "%79", "%80", "%81", "%82", "%83", "%84", "%85", "%86", "%87", "%88"
#define WGMMA_REST_144 "%72", "%73", "%74", "%75", "%76", "%77", "%78", "%79", "%80", "%81", "%82", "%83", "%84", "%85", "%86", "%87", "%88", "%89", "%90", "%91", "%92"
#define WGMMA_REST_152 "%76", "%77", "%78", "%79", "%80", "%81", "%82", "%83", "%84", "%85", "%86", "%87", "%88", "%89", "%90", "%91", "%92", "%93", "%94", "%95", "%96"
#define WGMMA_REST_160 "%80", "%81", "%82", "%83", "%84", "%85", "%86", "%87", "%88", "%89", "%90", "%91", "%92", "%93", "%94", "%95", "%96", "%97", "%98", "%99", "%100"
#define WGMMA_REST_168 "%84", "%85", "%86", "%87", "%88", "%89", "%90", "%91", "%92", "%93", "%94", "%95", "%96", "%97", "%98", "%99", "%100", "%101", "%102", "%103", "%104"
#define WGMMA_REST_176 "%88", "%89", "%90", "%91", "%92", "%93", "%94", "%95", "%96", "%97", "%98", "%99", "%100", "%101", "%102", "%103", "%104", "%105", "%106", "%107", "%108"
#define WGMMA_REST_184 "%92", "%93", "%94", "%95", "%96", "%97", "%98", "%99", "%100", "%101", "%102", "%103", "%104", "%105", "%106", "%107", "%108", "%109", "%110", "%111", "%112"
#define WGMMA_REST_192 "%96", "%97", "%98", "%99", "%100", "%101", "%102", "%103", "%104", "%105", "%106", "%107", "%108", "%109", "%110", "%111", "%112", "%113", "%114", "%115", "%116"
#define WGMMA_REST_200 "%100", "%101", "%102", "%103", "%104", "%105", "%106", "%107", "%108", "%109", "%110", "%111", "%112", "%113", "%114", "%115", "%116", "%117", "%118", "%119", "%120"
#define WGMMA_REST_208 "%104", "%105", "%106", "%107", "%108", "%109", "%110", "%111", "%112", "%113", "%114", "%115", "%116", "%117", "%118", "%119", "%120", "%121", "%122", "%123", "%124"
#define WGMMA_REST_216 "%108", "%109", "%110", "%111", "%112", "%113", "%114", "%115", "%116", "%117", "%118", "%119", "%120", "%121", "%122", "%123", "%124", "%125", "%126", "%127", "%128"
#define WGMMA_REST_224 "%112", "%113", "%114", "%115", "%116", "%117", "%118", "%119", "%120", "%121", "%122", "%123", "%124", "%125", "%126", "%127", "%128", "%129", "%130", "%131", "%132"
#define WGMMA_REST_232 "%116", "%117", "%118", "%119", "%120", "%121", "%122", "%123", "%124", "%125", "%126", "%127", "%128", "%129", "%130", "%131", "%132", "%133", "%134", "%135", "%136"
#define WGMMA_REST_240 "%120", "%121", "%122", "%123", "%124", "%125", "%126", "%127", "%128", "%129", "%130", "%131", "%132", "%133", "%134", "%135", "%136", "%137", "%138", "%139", "%140"
#define WGMMA_REST_248 "%124", "%125", "%126", "%127", "%128", "%129", "%130", "%131", "%132", "%133", "%134", "%135", "%136", "%137", "%138", "%139", "%140", "%141", "%142", "%143", "%144"
#define WGMMA_REST_256 "%128", "%129", "%130", "%131", "%132", "%133", "%134", "%135", "%136", "%137", "%138", "%139", "%140", "%141", "%142", "%143", "%144", "%145", "%146", "%147", "%148"

#define WGMMA_CALL(macro, ...) macro(__VA_ARGS__)
#define WGMMA_SHAPE(Element, N) WGMMA_CALL(WGMMA_DEFINE, Element, N, WGMMA_NAMES_##N, WGMMA_LIST_##N, WGMMA_REST_##N)

#define WGMMA_NAME(Element, N, names) "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." #Element "." #Element " {" names "}, "

// D is added to by every instruction but the first one, whose `scale_d` says.
#define WGMMA_TEXT(scale_d, steps) "{\n.reg .pred p, q;\nsetp.ne.b32 p, " scale_d ", 0;\nsetp.ne.b32 q, 1, 0;\n" steps "}"

#define WGMMA_SS(name, scale_d, d, m, n, a0, b0, a1, b1, a2, b2, a3, b3, ...) \
  if constexpr (steps == 1) \
    asm volatile(WGMMA_TEXT(scale_d, WGMMA_SS_STEP(name, a0, b0, "p", m, n)) : d : WGMMA_SS_LIST_1); \
  else if constexpr (steps == 2) \
    asm volatile(WGMMA_TEXT(scale_d, WGMMA_SS_STEP(name, a0, b0, "p", m, n) WGMMA_SS_STEP(name, a1, b1, "q", m, n)) \
                 : d : WGMMA_SS_LIST_2); \
  else \
    asm volatile(WGMMA_TEXT(scale_d, WGMMA_SS_STEP(name, a0, b0, "p", m, n) WGMMA_SS_STEP(name, a1, b1, "q", m, n) \
                                     WGMMA_SS_STEP(name, a2, b2, "q", m, n) WGMMA_SS_STEP(name, a3, b3, "q", m, n)) \
                 : d : WGMMA_SS_LIST_4);
#define WGMMA_SS_STEP(name, a, b, p, m, n) name a ", " b ", " p ", 1, 1, " m ", " n ";\n"
#define WGMMA_SS_LIST_1 "n"(a_major), "n"(b_major), "l"(a), "l"(b)
#define WGMMA_SS_LIST_2 WGMMA_SS_LIST_1, "l"(a + a_step), "l"(b + b_step)
#define WGMMA_SS_LIST_4 WGMMA_SS_LIST_2, "l"(a + 2 * a_step), "l"(b + 2 * b_step), "l"(a + 3 * a_step), "l"(b + 3 * b_step)

#define WGMMA_RS(name, scale_d, d, n, a0, a1, a2, a3, b0, a4, a5, a6, a7, b1, a8, a9, a10, a11, b2, a12, a13, a14, a15, b3) \
  if constexpr (steps == 1) \
    asm volatile(WGMMA_TEXT(scale_d, WGMMA_RS_STEP(name, a0, a1, a2, a3, b0, "p", n)) : d : WGMMA_RS_LIST_1); \
  else if constexpr (steps == 2) \
    asm volatile(WGMMA_TEXT(scale_d, WGMMA_RS_STEP(name, a0, a1, a2, a3, b0, "p", n) \
                                     WGMMA_RS_STEP(name, a4, a5, a6, a7, b1, "q", n)) : d : WGMMA_RS_LIST_2); \
  else \
    asm volatile(WGMMA_TEXT(scale_d, WGMMA_RS_STEP(name, a0, a1, a2, a3, b0, "p", n) \
                                     WGMMA_RS_STEP(name, a4, a5, a6, a7, b1, "q", n) \
                                     WGMMA_RS_STEP(name, a8, a9, a10, a11, b2, "q", n) \
                                     WGMMA_RS_STEP(name, a12, a13, a14, a15, b3, "q", n)) : d : WGMMA_RS_LIST_4);
#define WGMMA_RS_STEP(name, a, b, c, d, e, p, n) name "{" a ", " b ", " c ", " d "}, " e ", " p ", 1, 1, " n ";\n"
#define WGMMA_RS_LIST_1 "n"(b_major), "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)
#define WGMMA_RS_LIST_2 WGMMA_RS_LIST_1, "r"(a[4]), "r"(a[5]), "r"(a[6]), "r"(a[7]), "l"(b + b_step)
#define WGMMA_RS_LIST_4 WGMMA_RS_LIST_2, "r"(a[8]), "r"(a[9]), "r"(a[10]), "r"(a[11]), "l"(b + 2 * b_step), \
                        "r"(a[12]), "r"(a[13]), "r"(a[14]), "r"(a[15]), "l"(b + 3 * b_step)

#define WGMMA_DEFINE(Element, N, names, list, ...) \
  template <> struct Wgmma<Element, N> { \
    template <int b_major, int a_major = 0, int steps = 1, u64 a_step = 0, u64 b_step = 0> \
    SA_DEVICE static void multiply_ss(float (&d)[N / 2], u64 a, u64 b) { \
      WGMMA_SS(WGMMA_NAME(Element, N, names), "0", list("=f"), __VA_ARGS__) \
    } \
    template <int b_major, int a_major = 0, int steps = 1, u64 a_step = 0, u64 b_step = 0> \
    SA_DEVICE static void accumulate_ss(float (&d)[N / 2], u64 a, u64 b) { \
      WGMMA_SS(WGMMA_NAME(Element, N, names), "1", list("+f"), __VA_ARGS__) \
    } \
    template <int b_major, int steps = 1, u64 b_step = 0> \
    SA_DEVICE static void multiply_rs(float (&d)[N / 2], const u32* a, u64 b) { \
      WGMMA_RS(WGMMA_NAME(Element, N, names), "0", list("=f"), __VA_ARGS__) \
    } \
    template <int b_major, int steps = 1, u64 b_step = 0> \
    SA_DEVICE static void accumulate_rs(float (&d)[N / 2], const u32* a, u64 b) { \
      WGMMA_RS(WGMMA_NAME(Element, N, names), "1", list("+f"), __VA_ARGS__) \
    } \
  };

// clang-format on

}  // namespace streamattn
