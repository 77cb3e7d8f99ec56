"""What all of fastconv stands on, below layers and models; nothing here is public.

kernels         load the compiled module
machine         instruction set, threads, backend
checks          numbers in arguments, and errors that say what to do
missing         names of Keras that fastconv does not have
names           names of layers; what public modules answer for names
configuration   objects to dictionaries and back, and as text
files           write and read files whole
snapshot        the state of a training, to go back to
randomness      where all random numbers come from
geometry        shapes of sliding windows
targets         targets, predictions and weights as arrays
versions        whether what is worked out from layers still holds
turns           threads take turns at a model
"""
