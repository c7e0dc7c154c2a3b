; Token lists.
ld.sync wait(array, aray)
ld.sync wait()
ld.sync wait(array signal(vector)
ld.sync signal(array) wait(vector)
ld.sync wait(array, array)
ld.sync wait array
ld.sync wait(array) signal(store) wait(vector)
