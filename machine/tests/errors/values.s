; Values that do not fit; several in one line are all told.
ld.shape row_bytes=16777216, rows=65536, planes=-1
ar.quant zero_activation=32768, zero_weight=-32769, signed_activation=true, signed_weight=false
ar.quant zero_activation=0, zero_weight=0, signed_activation=1, signed_weight=tru
ld.run dram=0x10000000000, buffer=12ab, space=weights
ld.run dram=99999999999999999999999999999999999999999999999999999, buffer=0x, space=wgr
ve.scale a=1e39, b=inf, out=f32:0x123456789
ve.scale a=1.2.3, b=f32:7, out=-inf
ve.requant accumulator=0, params=0, out=0, mode=fix
