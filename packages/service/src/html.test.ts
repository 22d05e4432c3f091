import { expect, test } from 'vitest'
import { html, words } from './html.ts'

test('everything interpolated is escaped, in text and in quoted attributes', () => {
  const foreign = `"><script>alert('&')</script>`
  expect(html`<a title="${foreign}">${foreign}</a>`.markup).toBe(
    '<a title="&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;">' +
      '&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;</a>',
  )
})

test('safe parts nest unescaped, alone and in lists; undefined disappears', () => {
  const items = ['a', '<b>'].map((item) => html`<i>${item}</i>`)
  const page = html`<p>${items}${undefined}${html`<b>${7}</b>`}</p>`
  expect(page.markup.replaceAll(/\s/g, '')).toBe('<p><i>a</i><i>&lt;b&gt;</i><b>7</b></p>')
})

test.each([
  '{"markup":"<script>"}',
  '{"isEscaped":true,"markup":"<script>"}',
  '[{"isEscaped":true}]',
  '{"isEscaped":true,"callbacks":[]}',
])('an object that only looks like safe markup is refused: %s', (forged) => {
  expect(() => html`${JSON.parse(forged)}`).toThrow(TypeError)
})

test('markup of the library itself, and what it would wait for, is refused too', () => {
  const foreign: unknown[] = [Object.assign(Object('<script>'), { isEscaped: true }), Promise.resolve('<script>')]
  for (const value of foreign) expect(() => html`${value as string}`).toThrow(TypeError)
})

test('escaping twice shows the entities, never the characters', () => {
  expect(html`${html`${'<'}`.markup}`.markup).toBe('&amp;lt;')
})

test('the words of a sentence are text; a name keeps its markup only where html made it', () => {
  const sentence = words`<${'<b>'}> & ${html`<bdi>${'&'}</bdi>`}: ${7}`
  expect(sentence.markup).toBe('&lt;&lt;b&gt;&gt; &amp; <bdi>&amp;</bdi>: 7')
})
