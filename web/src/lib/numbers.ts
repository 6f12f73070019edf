// Numbers as people read them.

const LN2 = Math.LN2;

export function bits(nats: number): number {
  return nats / LN2;
}

/** Three figures that matter, a true minus sign, and no exponent where none is needed. */
export function say(value: number | null | undefined, figures = 3): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.0005 || size >= 1e6)) return minus(value.toExponential(1));
  const decimals = size >= 1000 ? 0 : Math.max(0, figures - 1 - Math.floor(Math.log10(size || 1)));
  return minus(value.toFixed(Math.min(decimals, 3)));
}

/** A number beside a tick: no figures that say nothing. */
export function sayTick(value: number): string {
  return say(value).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
}

/** A fixed width: for numbers that change while one looks. */
export function steady(value: number | null | undefined, decimals = 2): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const text = Math.abs(value).toFixed(decimals);
  return (value < 0 && Number(text) !== 0 ? '−' : '') + text;
}

/** Two numbers and the second's distance from the first, in as many decimals as it takes for the three to fit together. */
export function apart(one: number | null, other: number | null): { one: string; other: string; distance: string } {
  if (one === null || other === null) return { one: steady(one), other: steady(other), distance: '–' };
  for (let decimals = 2; ; decimals += 1) {
    const [first, second] = [Number(one.toFixed(decimals)), Number(other.toFixed(decimals))];
    const distance = Number((other - one).toFixed(decimals));
    const fits = Math.abs(second - first - distance) < 0.1 ** (decimals + 1) && (distance !== 0 || Math.abs(other - one) < 1e-6);
    if (!fits && decimals < 5) continue;
    const sign = second > first ? '+' : '';
    return { one: steady(first, decimals), other: steady(second, decimals), distance: sign + steady(second - first, decimals) };
  }
}

export function percent(part: number): string {
  if (part >= 0.9995) return '100%';
  if (part < 0.0005) return '<0.1%';
  return `${(100 * part).toFixed(part < 0.0995 ? 1 : 0)}%`;
}

function minus(text: string): string {
  return text.replace('-', '−').replace(/^−(0(?:\.0*)?)$/, '$1');
}

/** A symbol that can be seen: blanks and line ends get a sign. */
export function visible(symbol: string | undefined): string {
  if (symbol === undefined) return '';
  if (symbol === '\n' || symbol === '\r\n') return '⏎';
  if (symbol === ' ') return '␣';
  if (symbol === '\t') return '⇥';
  if (symbol === '\r') return '␍';
  if (/^[\u0000-\u001f\u007f]$/.test(symbol)) return String.fromCodePoint(0x2400 + (symbol.codePointAt(0) ?? 0) % 0x40);
  return symbol.replace(/\n/g, '⏎').replace(/\t/g, '⇥');
}
