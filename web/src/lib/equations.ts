// Equations as text: which line makes a quantity.

export interface Line {
  name: string;
  right: string;
  comment: string;
}

export function readLines(equations: string): Line[] {
  return equations
    .split('\n')
    .map((line) => {
      const [code = '', ...comment] = line.split('#');
      const [name = '', ...right] = code.split('=');
      return { name: name.trim(), right: right.join('=').trim(), comment: comment.join('#').trim() };
    })
    .filter((line) => line.name && line.right);
}
