#include "textflag.h"

// func scanWide(p unsafe.Pointer, n int) int
//
// Two vectors of sixteen bytes a step, with the instructions that every amd64
// has. A byte is plain if it is no quote, no backslash and above 0x1f; the
// last is seen by the minimum with 0x1f being the byte itself.
TEXT ·scanWide(SB), NOSPLIT, $0-24
	MOVQ       p+0(FP), SI
	MOVQ       n+8(FP), CX
	MOVQ       $0x2222222222222222, AX
	MOVQ       AX, X5
	PUNPCKLQDQ X5, X5
	MOVQ       $0x5c5c5c5c5c5c5c5c, AX
	MOVQ       AX, X6
	PUNPCKLQDQ X6, X6
	MOVQ       $0x1f1f1f1f1f1f1f1f, AX
	MOVQ       AX, X7
	PUNPCKLQDQ X7, X7
	XORQ       DX, DX

step:
	LEAQ     32(DX), BX
	CMPQ     BX, CX
	JHI      done
	MOVOU    (SI)(DX*1), X0
	MOVOU    16(SI)(DX*1), X1
	MOVO     X0, X2
	PCMPEQB  X5, X2
	MOVO     X0, X3
	PCMPEQB  X6, X3
	POR      X3, X2
	MOVO     X0, X3
	PMINUB   X7, X3
	PCMPEQB  X0, X3
	POR      X3, X2
	MOVO     X1, X4
	PCMPEQB  X5, X4
	MOVO     X1, X3
	PCMPEQB  X6, X3
	POR      X3, X4
	MOVO     X1, X3
	PMINUB   X7, X3
	PCMPEQB  X1, X3
	POR      X3, X4
	MOVO     X2, X8
	POR      X4, X8
	PMOVMSKB X8, AX
	TESTL    AX, AX
	JNZ      found
	MOVQ     BX, DX
	JMP      step

found:
	PMOVMSKB X2, AX
	PMOVMSKB X4, BX
	SHLL     $16, BX
	ORL      BX, AX
	BSFL     AX, AX
	ADDQ     AX, DX

done:
	MOVQ DX, ret+16(FP)
	RET

// func scanMasks(p unsafe.Pointer, blocks int, out *uint32)
//
// As scanWide, but for every byte: bit i of out[k] says that byte 32*k+i is
// not plain.
TEXT ·scanMasks(SB), NOSPLIT, $0-24
	MOVQ       p+0(FP), SI
	MOVQ       blocks+8(FP), CX
	MOVQ       out+16(FP), DI
	MOVQ       $0x2222222222222222, AX
	MOVQ       AX, X5
	PUNPCKLQDQ X5, X5
	MOVQ       $0x5c5c5c5c5c5c5c5c, AX
	MOVQ       AX, X6
	PUNPCKLQDQ X6, X6
	MOVQ       $0x1f1f1f1f1f1f1f1f, AX
	MOVQ       AX, X7
	PUNPCKLQDQ X7, X7

block:
	TESTQ    CX, CX
	JEQ      end
	MOVOU    (SI), X0
	MOVOU    16(SI), X1
	MOVO     X0, X2
	PCMPEQB  X5, X2
	MOVO     X0, X3
	PCMPEQB  X6, X3
	POR      X3, X2
	MOVO     X0, X3
	PMINUB   X7, X3
	PCMPEQB  X0, X3
	POR      X3, X2
	MOVO     X1, X4
	PCMPEQB  X5, X4
	MOVO     X1, X3
	PCMPEQB  X6, X3
	POR      X3, X4
	MOVO     X1, X3
	PMINUB   X7, X3
	PCMPEQB  X1, X3
	POR      X3, X4
	PMOVMSKB X2, AX
	PMOVMSKB X4, BX
	SHLL     $16, BX
	ORL      BX, AX
	MOVL     AX, (DI)
	ADDQ     $32, SI
	ADDQ     $4, DI
	DECQ     CX
	JMP      block

end:
	RET
