"""Pricing: Black-Scholes-Merton and Black-76 values and Greeks, implied volatility, and the payoff of a position at expiry.

Import the module wanted (`core.pricing.bsm`, `.implied`, `.payoff`); nothing is loaded from here, so that a caller who needs the
payoff of a position does not load numpy.
"""
