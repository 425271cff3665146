"""The fast path: a whole training step in one call to each thread.

*Layout.* LANES images (16 with AVX-512, else 8) lie side by side: a tensor is X[C][H][W][LANES], and each of its values
one vector register. Every loop over channels, rows and columns is then vectorised by itself, whatever the counts are.
LANES images are a chunk. A chunk goes forward and backward through all layers before the next one begins, so that its
tensors stay in the cache. They have fixed places in an arena of a thread's own, each plane with the zeros around it
that the next convolution's windows reach.

In a batch of so few images that most lanes would be zeros each goes by itself, in planes of single numbers, and a
vector holds LANES pixels of a row. There is a second table for that. A convolution is done by the same loops there, as
its planes are turned (`plan` says how); what the other layers do then has `single` in its name.

*Arithmetic.* `simd` has the vectors and two blocks of registers. One is a sum of numbers times vectors: forward
convolution, its way back to x (the same on the turned kernel), linear layers, the transforms and products of Winograd's
convolution. The other is a sum of vectors times vectors whose lanes are added up at the end: gradients of weights.
`conv` has convolutions, `winograd` those of many channels, `linear` linear layers, all in terms of these; `pointwise`
has what goes cell by cell: ReLU, dropout, max pooling; `average` average pooling.

*Graphs.* A row of the table reads one plane and writes one. Where several layers read a tensor, each gets a copy of it;
`add` and `concat` are copies into one plane (`merge`).

*One call.* `plan` reads a network, once, into a table of integers: a row for each layer, with what is fused into it and
where everything stands. `step` goes through that table; it is compiled once for all networks. What the plan does
not know it refuses with a reason, and the readable kernels train that network (`engine.backends`).

*Threads.* A batch has up to SHARDS shards, each with convolutions' gradients of its own; the threads of `thread_pool`
take the next shard until none is left. Then they gather the gradient piece by piece: the shards are added up in their
order, and a linear layer's is made of the inputs and deltas that were kept of all chunks. So no bit depends on the
number of threads or on who was quicker. Parameters, gradients and the optimizer's state are flat vectors
(`flat_params`), and the optimizer's own kernels move them.
"""
