; What only the whole text can tell.
| before: any machine
.machine
| name: m
|no space
|"quoted" and more
ld.sync
| after: another line
.dram bytes=64
.dram bytes=65
.bytes 00
.image address=0
.bytes 00112233 4
.bytes 0g
.in layer=1
ld.sync
.layer name="only", nodes=[], op="Conv", macs=0, weight_bits=8, compulsory_bytes=0, mapping=""
