; Directives alone.
.model name="net", macs=1
.layer name="conv", nodes=["a" "b"], op="Conv", macs=1, weight_bits=8, compulsory_bytes=1, mapping=""
.layer name=conv, nodes=[], op="Conv", macs=1, weight_bits=8, compulsory_bytes=1, mapping=""
.tensor name="x", shape=[1,2], dims=[1,2,1], element=i8, role=input, layout=nhwc, address=0, pixel_pitch=2, row_pitch=2, image_pitch=2, scale=1, zero_point=0
.tensor name="x", shape=[1,2], dims=[1,2,1,1], element=i12, role=inptu, layout=nhwc, address=0, pixel_pitch=2, row_pitch=2, image_pitch=2, scale=1, zero_point=0
.tensor name="x", shape=[], dims=[1,1,1,1], element=i8, role=input, layout=nhwc, address=0, pixel_pitch=2, row_pitch=2, image_pitch=2, scale=1, zero_point=2147483648
.dram bytes=18446744073709551616
.in layer=all
.in 3
