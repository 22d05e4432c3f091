/**
 * The duties of the design's security page: every one is cited, as `[H1]`, by the title of a test that proves it.
 * requirements.test.ts fails on a duty that no test cites.
 */
export const duties: readonly string[] = (
  'H1 H2 H3 H4 H5 H6 H7 H8 H9 H10 H11 P1 P2 P3 P4 P5 P6 V1 V2 V3 V4 V5 C1 C2 C3 C4 C5 C6 ' +
  'L1 L2 L3 A1 A2 A3 R1 R2 R3 R4 R5 R6 R7 R8 R9'
).split(' ')
