type Page = { readonly limit: number; readonly cursor?: string }

type Listed<Item> = { readonly items: readonly Item[]; readonly nextCursor: string | null }

const largestPage = 200

/** All pages of a listing, one after the other. */
export async function listEvery<Item>(readPage: (page: Page) => Promise<Listed<Item>>): Promise<readonly Item[]> {
  const all: Item[] = []
  for (let page: Page | undefined = { limit: largestPage }; page !== undefined;) {
    const { items, nextCursor }: Listed<Item> = await readPage(page)
    all.push(...items)
    page = nextCursor === null ? undefined : { limit: largestPage, cursor: nextCursor }
  }
  return all
}
