"""Metrics. A name carries its convention: ``psnr_y`` is BT.601 studio-range luma, ``psnr_y_full`` full-range luma."""
