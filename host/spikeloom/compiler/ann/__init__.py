"""From a trained ANN to a network of integrate-and-fire neurons: ONNX in, :class:`..graph.Network` out.

``onnx_file`` reads, ``layers`` knows the operators, ``fold`` makes one weighted sum in front of each activation,
``activations`` runs it as it was trained, ``convert`` makes the spiking network.
"""
