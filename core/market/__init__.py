"""What the desk knows of the market: columnar chains, quotes, views, history and the providers behind them."""
