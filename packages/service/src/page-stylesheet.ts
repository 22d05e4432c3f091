type Palette = Readonly<
  Record<
    'ground' | 'card' | 'ink' | 'soft' | 'line' | 'accent' | 'button' | 'button-ink' | 'danger' | 'success',
    string
  >
>

/**
 * The colours of the pages. Every ink has 4.5:1 on ground and card, as WCAG 2.2 §1.4.3 asks; an operator's own colour
 * takes the place of `accent` and `button` only as far as that holds.
 */
export const pagePalettes: { readonly light: Palette; readonly dark: Palette } = {
  light: {
    ground: '#f4f5f7',
    card: '#ffffff',
    ink: '#1c2330',
    soft: '#566074',
    line: '#d5dae3',
    accent: '#1f5fd6',
    button: '#1f5fd6',
    'button-ink': '#ffffff',
    danger: '#b3261e',
    success: '#19704a',
  },
  dark: {
    ground: '#12161d',
    card: '#1b212b',
    ink: '#e8ecf3',
    soft: '#a5b0c2',
    line: '#354052',
    accent: '#8fb6ff',
    button: '#8fb6ff',
    'button-ink': '#0c1a33',
    danger: '#ff9d94',
    success: '#7ad9a7',
  },
}

function declare(palette: Palette): string {
  return Object.entries(palette)
    .map(([name, colour]) => `--${name}: ${colour};`)
    .join(' ')
}

/**
 * The one stylesheet of the pages: light and dark, phone width first, logical properties so that right-to-left
 * languages need nothing of their own, system fonts because the policy lets nothing be fetched.
 */
export const pageStylesheet = `:root { color-scheme: light dark; ${declare(pagePalettes.light)} }
@media (prefers-color-scheme: dark) {
  :root { ${declare(pagePalettes.dark)} }
}
*,
*::before,
*::after {
  box-sizing: border-box;
}
[hidden] {
  display: none !important;
}
html {
  -webkit-text-size-adjust: 100%;
  text-size-adjust: 100%;
}
body {
  margin: 0;
  min-block-size: 100vh;
  min-block-size: 100dvh;
  background: var(--card);
  color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main {
  inline-size: 100%;
  max-inline-size: 30rem;
  margin-inline: auto;
  padding: 1.5rem 1.25rem 2rem;
  overflow-wrap: anywhere;
}
@media (min-width: 34rem) {
  body {
    display: grid;
    place-items: center;
    padding: 2rem 1rem;
    background: var(--ground);
  }
  main {
    padding: 2.25rem;
    background: var(--card);
    border: 1px solid var(--line);
    border-radius: 0.875rem;
  }
}
.brand {
  margin-block: 0 1.25rem;
  padding-block-end: 1rem;
  border-block-end: 1px solid var(--line);
  font-weight: 600;
}
.brand img {
  display: block;
  block-size: auto;
  max-block-size: 2.5rem;
  inline-size: auto;
  max-inline-size: 100%;
}
/* logos are mostly drawn for light grounds */
@media (prefers-color-scheme: dark) {
  .brand img {
    padding: 0.375rem 0.5rem;
    max-block-size: 3.25rem;
    background: #ffffff;
    border-radius: 0.5rem;
  }
}
h1 {
  margin-block: 0 0.75rem;
  font-size: 1.5rem;
  line-height: 1.25;
  text-wrap: balance;
}
h2 {
  margin-block: 0 0.25rem;
  font-size: 1rem;
}
p,
ul {
  margin-block: 0 0.75rem;
}
a {
  color: var(--accent);
}
:focus-visible,
.problems:focus {
  outline: 3px solid var(--accent);
  outline-offset: 2px;
}
.done {
  display: block;
  inline-size: 3rem;
  block-size: 3rem;
  margin-block-end: 0.75rem;
  fill: none;
  stroke: var(--success);
  stroke-width: 2;
  stroke-linecap: round;
  stroke-linejoin: round;
}
.lead,
.ending {
  color: var(--soft);
}
.lead {
  margin-block: -0.25rem 1.25rem;
}
.ending strong {
  color: var(--ink);
}
.scopes {
  padding: 0;
  list-style: none;
  border: 1px solid var(--line);
  border-radius: 0.5rem;
}
.scopes li {
  padding: 0.625rem 0.875rem;
}
.scopes li + li {
  border-block-start: 1px solid var(--line);
}
.scopes code {
  display: block;
  color: var(--soft);
  font-size: 0.875rem;
}
.field {
  margin-block-start: 1.25rem;
}
label {
  display: block;
  margin-block-end: 0.25rem;
  font-weight: 600;
}
.mark {
  color: var(--soft);
  font-weight: 400;
}
.hint,
.problem {
  margin-block: 0 0.375rem;
  font-size: 0.875rem;
}
.hint,
.reference {
  color: var(--soft);
}
.problem {
  color: var(--danger);
  font-weight: 600;
}
input,
select {
  inline-size: 100%;
  min-block-size: 3rem;
  padding: 0.5rem 0.75rem;
  font: inherit;
  color: var(--ink);
  background-color: var(--card);
  border: 1px solid var(--soft);
  border-radius: 0.5rem;
}
input::placeholder {
  color: var(--soft);
  opacity: 1;
}
[aria-invalid="true"] {
  border: 2px solid var(--danger);
}
.secret {
  display: flex;
  gap: 0.5rem;
}
.secret input {
  flex: 1;
  min-inline-size: 0;
}
.choice {
  display: flex;
  gap: 0.75rem;
  align-items: center;
  min-block-size: 3rem;
}
.choice input {
  flex: none;
  inline-size: 1.5rem;
  min-block-size: 1.5rem;
  margin: 0;
  accent-color: var(--accent);
}
.choice label {
  margin: 0;
}
.problems {
  margin-block: 1rem;
  padding: 1rem;
  border: 2px solid var(--danger);
  border-radius: 0.5rem;
}
.problems > :last-child {
  margin-block-end: 0;
}
.problems ul {
  padding-inline-start: 1.25rem;
}
.problems a {
  color: var(--danger);
}
button,
.button {
  display: inline-block;
  min-block-size: 3rem;
  padding: 0.5rem 1.25rem;
  font: inherit;
  font-weight: 600;
  line-height: 1.875rem;
  text-align: center;
  text-decoration: none;
  color: var(--button-ink);
  background: var(--button);
  border: 1px solid var(--button-edge, transparent);
  border-radius: 0.5rem;
  cursor: pointer;
}
form > button,
p > .button {
  inline-size: 100%;
  margin-block: 1.75rem 1rem;
}
button[aria-disabled="true"] {
  opacity: 0.7;
  cursor: progress;
}
.quiet {
  flex: none;
  min-inline-size: 4.5rem;
  padding-inline: 0.75rem;
  color: var(--ink);
  background: transparent;
  border-color: var(--soft);
}
.reference {
  margin-block: 1.5rem 0;
  padding-block-start: 0.75rem;
  border-block-start: 1px solid var(--line);
  font-size: 0.875rem;
}
`
