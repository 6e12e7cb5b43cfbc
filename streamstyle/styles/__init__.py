"""Style bundles: one network's weights, its style codes and the manifest that vouches for them."""
