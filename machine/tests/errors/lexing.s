; What is no token.
ld.run dram=$0, buffer=0, space=act
.model name="open, macs=1
.model name="bad \q escape", macs=1, parameters=1, weight_bytes=1, batch=1
.model name="\u{d800}", macs=1, parameters=1, weight_bytes=1, batch=1
.model name="é字", macs=1, parameters=ö
	ld.run dram=0, buffer=!
