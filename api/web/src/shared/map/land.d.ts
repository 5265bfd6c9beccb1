declare module 'virtual:land' {
  const shapes: { land: GeoJSON.MultiPolygon; borders: GeoJSON.MultiLineString };
  export default shapes;
}
