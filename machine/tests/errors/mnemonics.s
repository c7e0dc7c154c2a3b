; Unknown names, with and without a near one.
ld.rum dram=0, buffer=0, space=act
ve.reqant accumulator=0, params=0, out=0, mode=float32
multiply a=0, b=0
.tensr name="x"
.something
42
"text"
