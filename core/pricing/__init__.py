"""Pricing, pure and on whole arrays.

European (`bsm`) and American options (`american`), cash dividends and assignment (`dividends`), implied volatility, forwards and discounts
(`implied`), smiles and surfaces (`surface`), a VIX-style index (`variance_index`), options on VIX (`vix_options`), the payoff of a
position at expiry (`payoff`), any set of legs under scenarios of spot, volatility and time (`scenarios`), and how likely a trade is to make
or lose what, or a price to touch a level (`odds`).

Import the module wanted; nothing is loaded from here, so that a caller who needs the payoff of a position does not load numpy. Modules
with a leading underscore hold the compiled kernels, which `compiled` loads where numba is installed and somebody asked for them.
"""
