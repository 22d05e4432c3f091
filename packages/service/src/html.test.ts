import { expect, test } from 'vitest'
import { escapeHtml, html } from './html.ts'

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

test('an object that only looks like safe markup is refused', () => {
  const forged = JSON.parse('{"markup":"<script>"}')
  expect(() => html`${forged}`).toThrow(TypeError)
})

test('escaping twice shows the entities, never the characters', () => {
  expect(escapeHtml(escapeHtml('<'))).toBe('&amp;lt;')
})
