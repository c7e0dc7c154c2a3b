; Segments and tensors that are misplaced.
.dram bytes=16
.image address=4
.bytes 0011223344556677
.image address=8
.bytes 00
.image address=15
.bytes 0011
.tensor name="wide", shape=[1,2,3,3], dims=[1,2,3,3], element=u8, role=output, layout=nhwc, address=0, pixel_pitch=2, row_pitch=6, image_pitch=18, scale=1, zero_point=0
.tensor name="odd", shape=[1,4], dims=[1,2,1,1], element=u8, role=output, layout=nhwc, address=0, pixel_pitch=2, row_pitch=2, image_pitch=2, scale=1, zero_point=0
.tensor name="tight", shape=[1,4,1,2], dims=[1,4,1,2], element=u8, role=output, layout=nhwc, address=0, pixel_pitch=3, row_pitch=3, image_pitch=3, scale=1, zero_point=0
.tensor name="huge", shape=[4294967296,4294967296], dims=[4294967296,4294967296,1,1], element=u8, role=output, layout=nhwc, address=0, pixel_pitch=3, row_pitch=3, image_pitch=3, scale=1, zero_point=0
