; Fields that are missing, misnamed, out of order, doubled, or without a value.
ld.shape rows=1, row_bytes=2, planes=3
ld.shape row_bytes=1, rows=2
ld.shape row_bytes=1, rows=2, plane=3
ld.shape row_bytes=1 rows=2, planes=3
ld.shape row_bytes 1, rows=2, planes=3
ld.shape row_bytes=, rows=2, planes=3
ld.shape row_bytes=1, rows=2, planes=3, planes=4
ld.shape
ld.sync now
